defmodule Hello.Application do
  use Application

  @impl true
  def start(_type, _args) do
    port = String.to_integer(System.get_env("PORT", "8080"))

    children = [
      {Task.Supervisor, name: Hello.Connections},
      {Task, fn -> Hello.Server.listen(port) end}
    ]

    Supervisor.start_link(children, strategy: :one_for_all, name: Hello.Supervisor)
  end
end
