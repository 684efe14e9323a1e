# Takes Gerbang's own webhooks, saves each photo that comes in, and answers it.

require 'json'
require 'net/http'
require 'openssl'
require 'socket'
require 'uri'

URL, KEY = ENV.values_at('GERBANG_URL', 'GERBANG_KEY')
SECRET = ENV.fetch('GERBANG_WEBHOOK_SECRET').delete_prefix('whsec_').unpack1('m')
FOLDER = ENV.fetch('FOLDER', '.')
AGE_MAX_S = 5 * 60
# The file cannot be had any more.
OVER = %w[404 410 502].freeze

def authentic?(headers, body)
  timestamp = headers['webhook-timestamp'].to_s
  return false unless timestamp.match?(/\A\d+\z/) && (Time.now.to_i - timestamp.to_i).abs < AGE_MAX_S

  signed = "#{headers['webhook-id']}.#{timestamp}.".b + body
  expected = "v1,#{[OpenSSL::HMAC.digest('SHA256', SECRET, signed)].pack('m0')}"
  # While a secret is being replaced there are several signatures.
  headers['webhook-signature'].to_s.split.any? { |given| OpenSSL.secure_compare(given, expected) }
end

def answer(event, message)
  url = message['media']['url']
  return puts("#{message['id']} has no file: #{message['media']['reason']}") unless url

  # The URL needs no key. It is valid from now on, also while the file is still on its way.
  photo = Net::HTTP.get_response(URI(url))
  return puts("#{message['id']} has no file: #{photo.code}") if OVER.include?(photo.code)
  raise "the photo cannot be fetched: #{photo.code}" unless photo.code == '200'

  File.binwrite("#{FOLDER}/#{message['id']}.jpg", photo.body)
  body = {
    device: message['device']['id'],
    to: message['group'] || message['from'],
    text: "Thank you for the photo of #{photo.body.bytesize} bytes",
    reply_to: message['whatsapp_id']
  }
  headers = {
    'Authorization' => "Bearer #{KEY}",
    'Content-Type' => 'application/json',
    # The same event may come twice; it is answered once.
    'Idempotency-Key' => event
  }
  sent = Net::HTTP.post(URI("#{URL}/v1/messages"), body.to_json, headers)
  raise sent.body unless sent.code == '202'

  puts "saved #{message['id']}.jpg"
end

def receive(headers, body)
  unless authentic?(headers, body)
    puts 'refused: the signature is wrong'
    return 401
  end
  event = JSON.parse(body)
  is_photo = event['type'] == 'message.received' && event['data']['kind'] == 'image'
  answer(headers['webhook-id'], event['data']) if is_photo
  204
rescue StandardError => e
  puts "error: #{e.message}"
  # The event comes again.
  500
end

def serve(client)
  client.gets
  headers = {}
  while (line = client.gets) && line != "\r\n"
    name, value = line.split(':', 2)
    headers[name.downcase] = value.strip
  end
  body = client.read(headers['content-length'].to_i)
  client.write("HTTP/1.1 #{receive(headers, body)} -\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
ensure
  client.close
end

$stdout.sync = true
server = TCPServer.new(ENV.fetch('PORT', 8000).to_i)
loop { Thread.new(server.accept) { |client| serve(client) } }
