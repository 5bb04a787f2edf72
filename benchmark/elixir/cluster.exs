# Distributed Erlang for the cluster suite: the same calls and casts between two BEAMs of this machine. They are encrypted if
# this one was started with `-proto_dist inet_tls -ssl_dist_optfile <file>` (certificate.exs), which the other is, too.
#
#   ERL_EPMD_PORT=<free port> elixir benchmark/elixir/cluster.exs [--rounds N] | --serve     as in rounds.exs
#
# Both listen on the loopback interface only. The second BEAM is started with the number of schedulers of the first, and
# ends with it. The port mapper is started here, since one that runs already may serve others.

Code.require_file("rounds.exs", __DIR__)

{:module, Bench.Sink, sink_code, _} = defmodule Bench.Sink do
  @moduledoc "Echoes calls, counts casts and checks their order."
  use GenServer

  @impl true
  def init(next), do: {:ok, next}

  @impl true
  def handle_call({:echo, payload}, _from, next), do: {:reply, payload, next}
  def handle_call(:taken, _from, next), do: {:reply, next, 0}

  @impl true
  def handle_cast({:take, next, _payload}, next), do: {:noreply, next + 1}
  def handle_cast({:take, _number, _payload}, next), do: {:noreply, next}
end

:persistent_term.put(:libeam_sink_code, sink_code)

defmodule Bench.Cases do
  @moduledoc "`setup/2` makes what a case needs once; `round/3` does one round and returns the figure per operation."

  @sizes %{"64" => 64, "1k" => 1_024}

  def names do
    for(window <- ~w(1 4 64 512), size <- ~w(64 1k), do: "remote_call_#{window}_#{size}") ++
      for(size <- ~w(64 1k), do: "remote_cast_#{size}")
  end

  def unit(_name), do: "ns"

  def setup(_name, _counts) do
    case :persistent_term.get(:libeam_sink, nil) do
      nil ->
        sink = start_sink()
        :persistent_term.put(:libeam_sink, sink)
        sink

      sink ->
        sink
    end
  end

  defp start_sink do
    start_distribution()
    schedulers = :erlang.system_info(:schedulers)
    arguments = [~c"+S", ~c"#{schedulers}:#{schedulers}", ~c"-kernel", ~c"inet_dist_use_interface", ~c"{127,0,0,1}"]
    arguments = arguments ++ same(:proto_dist) ++ same(:ssl_dist_optfile)
    code = Enum.flat_map(:code.get_path(), &[~c"-pa", &1])
    {:ok, _peer, node} = :peer.start_link(%{name: :peer.random_name(), host: ~c"127.0.0.1", args: arguments ++ code})
    {:module, Bench.Sink} = :erpc.call(node, :code, :load_binary, [Bench.Sink, ~c"sink", :persistent_term.get(:libeam_sink_code)])
    {:ok, sink} = :erpc.call(node, GenServer, :start, [Bench.Sink, 0])
    sink
  end

  # A flag of this BEAM, for the other one.
  defp same(flag) do
    case :init.get_argument(flag) do
      {:ok, [[value]]} -> [~c"-#{flag}", value]
      :error -> []
    end
  end

  # Port mappers outlive who starts them; this one is on a port of its own and ends with the standard input of its shell.
  defp start_distribution do
    port = System.get_env("ERL_EPMD_PORT") || raise("set ERL_EPMD_PORT to a free port for the port mapper")
    mapper = "epmd -address 127.0.0.1 -port #{port} & mapper=$!; cat > /dev/null; kill $mapper; wait"
    Port.open({:spawn_executable, "/bin/sh"}, [:binary, args: ["-c", mapper]])
    :ok = until_listening(String.to_integer(port), 200)
    Application.put_env(:kernel, :inet_dist_use_interface, {127, 0, 0, 1})
    {:ok, _pid} = Node.start(:"bench-#{System.pid()}@127.0.0.1", :longnames)
  end

  defp until_listening(port, attempts) do
    case :gen_tcp.connect({127, 0, 0, 1}, port, []) do
      {:ok, socket} ->
        :gen_tcp.close(socket)

      {:error, :econnrefused} when attempts > 0 ->
        Process.sleep(20)
        until_listening(port, attempts - 1)
    end
  end

  def round("remote_call_" <> rest, sink, counts) do
    [window, size] = String.split(rest, "_")
    window = String.to_integer(window)
    total = if window == 1, do: counts.remote_sequential, else: counts.remote_calls
    share = div(total, window)
    payload = :binary.copy("x", @sizes[size])

    timed(share * window, fn ->
      if window == 1 do
        echoes(sink, payload, share)
      else
        1..window
        |> Enum.map(fn _ -> Task.async(fn -> echoes(sink, payload, share) end) end)
        |> Task.await_many(60_000)
      end
    end)
  end

  def round("remote_cast_" <> size, sink, counts) do
    payload = :binary.copy("x", @sizes[size])
    count = counts.remote_casts

    timed(count, fn ->
      for number <- 0..(count - 1), do: GenServer.cast(sink, {:take, number, payload})
      ^count = GenServer.call(sink, :taken, 60_000)
    end)
  end

  defp timed(operations, work) do
    started = System.monotonic_time(:nanosecond)
    work.()
    (System.monotonic_time(:nanosecond) - started) / operations
  end

  defp echoes(_sink, _payload, 0), do: :ok

  defp echoes(sink, payload, left) do
    ^payload = GenServer.call(sink, {:echo, payload}, 60_000)
    echoes(sink, payload, left - 1)
  end
end

Bench.main(System.argv(), Bench.Cases)
