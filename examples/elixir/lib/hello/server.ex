defmodule Hello.Server do
  @moduledoc "A web server of one answer per connection, on Erlang's own HTTP parser."

  require Logger

  @version "1"

  def listen(port) do
    {:ok, socket} = :gen_tcp.listen(port, [:binary, packet: :http_bin, active: false, reuseaddr: true, backlog: 128])
    Logger.info("listening on port #{port}, version #{@version}")
    accept(socket)
  end

  defp accept(socket) do
    {:ok, connection} = :gen_tcp.accept(socket)
    {:ok, pid} = Task.Supervisor.start_child(Hello.Connections, fn -> receive(do: (:go -> serve(connection))) end)
    :ok = :gen_tcp.controlling_process(connection, pid)
    send(pid, :go)
    accept(socket)
  end

  defp serve(connection) do
    with {:ok, {:http_request, _method, {:abs_path, path}, _version}} <- :gen_tcp.recv(connection, 0, 10_000),
         :ok <- skip_headers(connection) do
      {status, body} = answer(path)

      :gen_tcp.send(connection, [
        "HTTP/1.1 #{status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: #{byte_size(body)}\r\nConnection: close\r\n\r\n",
        body
      ])
    end

    :gen_tcp.close(connection)
  end

  defp skip_headers(connection) do
    case :gen_tcp.recv(connection, 0, 10_000) do
      {:ok, :http_eoh} -> :ok
      {:ok, _header} -> skip_headers(connection)
      error -> error
    end
  end

  defp answer("/") do
    {"200 OK", "#{System.get_env("GREETING", "Hello")} from Elixir #{System.version()} (version #{@version})\n"}
  end

  defp answer("/healthz"), do: {"200 OK", "ok\n"}
  defp answer(_path), do: {"404 Not Found", "not found\n"}
end
