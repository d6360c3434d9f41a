RemoveBg.configure do |config|
  config.api_key = Rails.application.credentials.remove_bg
end
