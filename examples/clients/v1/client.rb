#!/usr/bin/env ruby
# Sends a text and a picture through Gerbang's own API, then asks how the text fares.

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
  request['Authorization'] = "Bearer #{KEY}"
  request.body = body.to_json if body
  is_secure = uri.scheme == 'https'
  response = Net::HTTP.start(uri.host, uri.port, use_ssl: is_secure) { |http| http.request(request) }
  answer = JSON.parse(response.body)
  return answer if response.is_a?(Net::HTTPSuccess)

  abort "error: #{answer['detail']}"
end

text = call(:Post, '/v1/messages', {
  device: DEVICE,
  to: TO,
  text: 'Hello from Ruby'
})
puts "text #{text['id']}"

media = call(:Post, '/v1/messages', {
  device: DEVICE,
  to: TO,
  media: {
    url: MEDIA_URL,
    caption: 'A picture from Ruby'
  }
})
puts "media #{media['id']}"

answer = call(:Get, "/v1/messages/#{text['id']}")
puts "status #{answer['status']}"
