#!/usr/bin/env ruby
# Sends a text and a picture through the wagate API, then asks for the latest messages.

require 'json'
require 'net/http'

URL = ENV.fetch('GERBANG_URL')
KEY = ENV.fetch('GERBANG_KEY')
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

  abort "error: #{answer['message']}"
end

text = call(:Post, '/api/v1/send-message', {
  recipient: TO,
  message: 'Hello from Ruby'
})
puts "text #{text['data']['message_id']}"

media = call(:Post, '/api/v1/send-media', {
  recipient: TO,
  media_url: MEDIA_URL,
  media_type: 'image',
  caption: 'A picture from Ruby'
})
puts "media #{media['data']['message_id']}"

answer = call(:Get, '/api/v1/messages?limit=2')
puts "status #{answer['data'][0]['status']}"
