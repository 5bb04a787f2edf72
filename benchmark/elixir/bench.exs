# The Elixir side of the benchmark: GenServers doing the same work, in the same counts, as benchmark/cases/*.ts.
#
#   elixir benchmark/elixir/bench.exs [--rounds N]   one warm-up, then N rounds (7) of every case
#   elixir benchmark/elixir/bench.exs --serve        one round per case name read from stdin, until end of input
#
# rounds.exs says what is printed, and where the counts come from. Every round checks that all of its work was done and
# raises otherwise: a number is printed for completed work or not at all.

Code.require_file("rounds.exs", __DIR__)

defmodule Bench.Counter do
  @moduledoc "A server that counts what it has handled; `:take` returns the count and starts again from zero."
  use GenServer

  @impl true
  def init(count), do: {:ok, count}

  @impl true
  def handle_call(:increment, _from, count), do: {:reply, count + 1, count + 1}
  def handle_call(:get, _from, count), do: {:reply, count, count}
  def handle_call(:take, _from, count), do: {:reply, count, 0}

  @impl true
  def handle_cast(:increment, count), do: {:noreply, count + 1}
end

defmodule Bench.Forwarder do
  @moduledoc "Answers a call with the answer of the next server."
  use GenServer

  @impl true
  def init(next), do: {:ok, next}

  @impl true
  def handle_call(message, _from, next), do: {:reply, GenServer.call(next, message), next}
end

defmodule Bench.Cases do
  @moduledoc "`setup/2` makes what a case needs once; `round/3` does one round and returns the figure per operation."

  @named :libeam_bench_counter

  def names do
    ~w(call_sequential call_named in_flight_pipelined in_flight_clients call_chain cast_batches_1 cast_burst_1
       cast_batches_many cast_burst_many mixed spawn_stop spawn_alive memory_per_process)
  end

  def unit("memory_per_process"), do: "B"
  def unit(_name), do: "ns"

  def setup("call_named", _counts) do
    {:ok, _pid} = GenServer.start(Bench.Counter, 0, name: @named)
    @named
  end

  def setup("call_chain", _counts) do
    c = start(Bench.Counter, 0)
    b = start(Bench.Forwarder, c)
    {start(Bench.Forwarder, b), c}
  end

  def setup(name, counts) when name in ["cast_batches_many", "cast_burst_many"] do
    for _ <- 1..counts.cast_actors, do: start(Bench.Counter, 0)
  end

  def setup(name, _counts) when name in ["spawn_stop", "spawn_alive", "memory_per_process"], do: nil
  def setup(_name, _counts), do: start(Bench.Counter, 0)

  # --- calls

  def round(name, server, counts) when name in ["call_sequential", "call_named"] do
    timed(counts.calls, fn -> call_loop(server, counts.calls) end, fn -> GenServer.call(server, :take) end)
  end

  def round("call_chain", {a, c}, counts) do
    timed(counts.chain_calls, fn -> call_loop(a, counts.chain_calls) end, fn -> GenServer.call(c, :take) end)
  end

  def round("in_flight_pipelined", server, counts) do
    pipeline = fn ->
      open = for _ <- 1..counts.window, do: :gen_server.send_request(server, :increment)
      slide(server, :queue.from_list(open), counts.in_flight - counts.window)
    end

    timed(counts.in_flight, pipeline, fn -> GenServer.call(server, :take) end)
  end

  def round("in_flight_clients", server, counts) do
    share = div(counts.in_flight, counts.window)

    clients = fn ->
      1..counts.window
      |> Enum.map(fn _ -> spawn_monitor(fn -> call_loop(server, share) end) end)
      |> Enum.each(fn {pid, monitor} ->
        receive do
          {:DOWN, ^monitor, :process, ^pid, :normal} -> :ok
        end
      end)
    end

    timed(share * counts.window, clients, fn -> GenServer.call(server, :take) end)
  end

  # --- casts

  def round("cast_batches_1", server, counts) do
    batches = fn -> batch_loop(server, counts.cast_batches, counts.cast_batch_size) end
    timed(counts.cast_batches * counts.cast_batch_size, batches, fn -> GenServer.call(server, :take) end)
  end

  def round("cast_burst_1", server, counts) do
    timed(counts.cast_burst, fn -> batch_loop(server, 1, counts.cast_burst) end, fn -> GenServer.call(server, :take) end)
  end

  def round("cast_batches_many", servers, counts) do
    batches = fn ->
      spread(servers, servers, counts.cast_batches, counts.cast_batch_size)
      close(servers)
    end

    timed(counts.cast_batches * counts.cast_batch_size, batches, fn -> take_all(servers) end)
  end

  def round("cast_burst_many", servers, counts) do
    burst = fn ->
      spread(servers, servers, 1, counts.cast_burst)
      close(servers)
    end

    timed(counts.cast_burst, burst, fn -> take_all(servers) end)
  end

  def round("mixed", server, counts) do
    pairs = fn -> mixed_loop(server, counts.mixed_pairs) end
    timed(2 * counts.mixed_pairs, pairs, fn -> GenServer.call(server, :take) end)
  end

  # --- life and memory

  def round("spawn_stop", _state, counts) do
    timed(counts.spawn_stop, fn -> spawn_stop_loop(counts.spawn_stop) end, nil)
  end

  def round("spawn_alive", _state, counts) do
    started = now()
    pids = spawn_many(counts.spawn_alive, [])
    elapsed = now() - started
    finish(pids, counts.spawn_alive)
    elapsed / counts.spawn_alive
  end

  def round("memory_per_process", _state, counts) do
    :erlang.garbage_collect()
    before = :erlang.memory(:processes)
    pids = spawn_many(counts.spawn_alive, [])
    # The list of pids lives in this process: subtract it (two words per element), it is the client's, not theirs.
    list = counts.spawn_alive * 2 * :erlang.system_info(:wordsize)
    :erlang.garbage_collect()
    used = :erlang.memory(:processes) - before - list
    finish(pids, counts.spawn_alive)
    used / counts.spawn_alive
  end

  # --- loops

  defp call_loop(_server, 0), do: :ok

  defp call_loop(server, left) do
    GenServer.call(server, :increment)
    call_loop(server, left - 1)
  end

  defp slide(_server, open, 0) do
    Enum.each(:queue.to_list(open), fn request -> {:reply, _} = :gen_server.receive_response(request, :infinity) end)
  end

  defp slide(server, open, left) do
    {{:value, oldest}, rest} = :queue.out(open)
    {:reply, _} = :gen_server.receive_response(oldest, :infinity)
    slide(server, :queue.in(:gen_server.send_request(server, :increment), rest), left - 1)
  end

  defp batch_loop(_server, 0, _size), do: :ok

  defp batch_loop(server, batches, size) do
    cast_loop(server, size)
    GenServer.call(server, :get, :infinity)
    batch_loop(server, batches - 1, size)
  end

  defp cast_loop(_server, 0), do: :ok

  defp cast_loop(server, left) do
    GenServer.cast(server, :increment)
    cast_loop(server, left - 1)
  end

  # Round-robin in batches; the last server of a batch is called, which closes the turn of this client.
  defp spread(_all, _rest, 0, _size), do: :ok

  defp spread(all, rest, batches, size) do
    {rest, last} = spread_batch(all, rest, nil, size)
    GenServer.call(last, :get, :infinity)
    spread(all, rest, batches - 1, size)
  end

  defp spread_batch(_all, rest, last, 0), do: {rest, last}
  defp spread_batch(all, [], last, left), do: spread_batch(all, all, last, left)

  defp spread_batch(all, [server | rest], _last, left) do
    GenServer.cast(server, :increment)
    spread_batch(all, rest, server, left - 1)
  end

  defp close(servers), do: Enum.each(servers, fn server -> GenServer.call(server, :get, :infinity) end)

  defp take_all(servers), do: Enum.reduce(servers, 0, fn server, sum -> sum + GenServer.call(server, :take, :infinity) end)

  defp mixed_loop(_server, 0), do: :ok

  defp mixed_loop(server, left) do
    GenServer.cast(server, :increment)
    GenServer.call(server, :increment)
    mixed_loop(server, left - 1)
  end

  defp spawn_stop_loop(0), do: :ok

  defp spawn_stop_loop(left) do
    {:ok, pid} = GenServer.start(Bench.Counter, left)
    :ok = GenServer.stop(pid)
    spawn_stop_loop(left - 1)
  end

  defp spawn_many(0, pids), do: pids

  defp spawn_many(left, pids) do
    {:ok, pid} = GenServer.start(Bench.Counter, left)
    spawn_many(left - 1, [pid | pids])
  end

  # Every process that was started answers once, then all are gone before the next round.
  defp finish(pids, expected) do
    ^expected = Enum.count(pids, fn pid -> is_integer(GenServer.call(pid, :get)) end)
    Enum.each(pids, &GenServer.stop/1)
  end

  # --- clock

  # `take` returns what the servers have counted since the last round; a difference to `operations` is lost work.
  defp timed(operations, work, take) do
    if take, do: take.()
    :erlang.garbage_collect()
    started = now()
    work.()
    elapsed = now() - started
    done = if take, do: take.(), else: operations
    if done != operations, do: raise("lost work: #{done} of #{operations} operations were completed")
    elapsed / operations
  end

  defp now, do: System.monotonic_time(:nanosecond)

  defp start(module, argument) do
    {:ok, pid} = GenServer.start(module, argument)
    pid
  end
end

Bench.main(System.argv(), Bench.Cases)
