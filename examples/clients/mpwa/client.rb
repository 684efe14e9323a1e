#!/usr/bin/env ruby
# Sends a text and a picture through the mpwa API.

require 'json'
require 'net/http'

URL = ENV.fetch('GERBANG_URL')
KEY = ENV.fetch('GERBANG_KEY')
SENDER = ENV.fetch('GERBANG_SENDER')
TO = ENV.fetch('GERBANG_TO')
MEDIA_URL = ENV.fetch('GERBANG_MEDIA_URL')

def call(method, path, body = nil)
  uri = URI(URL + path)
  request = Net::HTTP.const_get(method).new(uri, 'Content-Type' => 'application/json')
  request.body = body.to_json if body
  is_secure = uri.scheme == 'https'
  response = Net::HTTP.start(uri.host, uri.port, use_ssl: is_secure) { |http| http.request(request) }
  answer = JSON.parse(response.body)
  return answer if response.is_a?(Net::HTTPSuccess)

  abort "error: #{answer['msg']}"
end

text = call(:Post, '/send-message', {
  api_key: KEY,
  sender: SENDER,
  number: TO,
  message: 'Hello from Ruby'
})
puts "text #{text['msg']}"

media = call(:Post, '/send-media', {
  api_key: KEY,
  sender: SENDER,
  number: TO,
  media_type: 'image',
  url: MEDIA_URL,
  caption: 'A picture from Ruby'
})
puts "media #{media['msg']}"
