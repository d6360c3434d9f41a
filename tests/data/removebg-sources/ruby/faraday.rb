require "faraday"

CONNECTION = Faraday.new("https://api.remove.bg")
