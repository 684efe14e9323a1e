#!/usr/bin/env ruby
# Sends a text and a picture through the wachat API, then asks how the text fares.

require 'json'
require 'net/http'

URL = ENV.fetch('GERBANG_URL')
KEY = ENV.fetch('GERBANG_KEY')
DEVICE = ENV.fetch('GERBANG_DEVICE')
TO = ENV.fetch('GERBANG_TO')
MEDIA_URL = ENV.fetch('GERBANG_MEDIA_URL')

def call(method, path, body = nil)
  uri = URI(URL + path)
  request = Net::HTTP.const_get(method).new(uri, 'Content-Type' => 'application/json')
  request['APIKey'] = KEY
  request.body = body.to_json if body
  is_secure = uri.scheme == 'https'
  response = Net::HTTP.start(uri.host, uri.port, use_ssl: is_secure) { |http| http.request(request) }
  answer = JSON.parse(response.body)
  return answer if response.is_a?(Net::HTTPSuccess)

  # A parameter at fault has another error shape than everything else.
  abort "error: #{answer['message'] || answer['detail'][0]['msg']}"
end

text = call(:Post, '/wachat_api/1.0/message', {
  queue: DEVICE,
  destination: TO,
  message: 'Hello from Ruby'
})
puts "text #{text['data']['ref_no']}"

media = call(:Post, '/wachat_api/1.0/media', {
  queue: DEVICE,
  destination: TO,
  caption: 'A picture from Ruby',
  media_url: MEDIA_URL
})
puts "media #{media['data']['ref_no']}"

answer = call(:Get, "/wachat_api/1.0/status/#{text['data']['ref_no']}")
puts "status #{answer['data']['status']}"
