require "remove_bg"

RemoveBg.configure { |config| config.api_key = ENV.fetch("CUTOUT_KEY") }
RemoveBg.from_file("photo.jpg").save("no-bg.png")
