# frozen_string_literal: true

require "bundler/setup"

VERSION = "1"

run lambda { |env|
  case env["PATH_INFO"]
  when "/healthz" then [200, { "content-type" => "text/plain" }, ["ok\n"]]
  when "/"
    [200, { "content-type" => "text/plain; charset=utf-8" },
     ["#{ENV.fetch("GREETING", "Hello")} from Ruby #{RUBY_VERSION} (version #{VERSION})\n"]]
  else [404, { "content-type" => "text/plain" }, ["not found\n"]]
  end
}
