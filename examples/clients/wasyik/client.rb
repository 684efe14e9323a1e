#!/usr/bin/env ruby
# Sends a text and a picture through the wasyik API, then asks how the device is.

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

  abort "error: #{answer['data']['message']}"
end

text = call(:Post, '/api/v2/messaging/whatsapp/send-text', {
  accountId: DEVICE,
  to: TO,
  text: 'Hello from Ruby'
})
puts "text #{text['data']['messageId']}"

media = call(:Post, '/api/v2/messaging/whatsapp/message', {
  accountId: DEVICE,
  to: TO,
  messageType: 'image',
  url: MEDIA_URL,
  caption: 'A picture from Ruby'
})
puts "media #{media['data']['messageId']}"

answer = call(:Get, "/api/v2/messaging/whatsapp/accounts/status?accountId=#{DEVICE}")
puts "status #{answer['data']['whatsapp_status']}"
