# Elixir's GenStage doing the same work, in the same counts, as benchmark/cases/gen_stage.ts.
#
#   GEN_STAGE_PATH=…/gen_stage elixir benchmark/elixir/gen_stage.exs [--rounds N | --serve]
#
# GEN_STAGE_PATH is the root of a checkout; its lib/ is compiled in memory, so neither mix nor a network is needed.
# rounds.exs says what is printed, and where the counts come from.
#
# Demand is as in the TypeScript: min_demand is three quarters of max_demand. A round starts its pipeline with demand held
# back (`demand: :accumulate`), takes the time from `GenStage.demand(producer, :forward)` until the last event was
# handled, and checks the number of events and their sum.

Code.require_file("rounds.exs", __DIR__)

path = System.get_env("GEN_STAGE_PATH") || ""
sources = Path.wildcard(Path.join([path, "lib", "**", "*.ex"]))

if path == "" or not File.exists?(Path.join([path, "lib", "gen_stage.ex"])) do
  IO.puts(:stderr, "skipped: GEN_STAGE_PATH must be the root of a checkout of gen_stage, with lib/gen_stage.ex in it")
  System.halt(2)
end

{:ok, _modules, _warnings} = Kernel.ParallelCompiler.compile(sources)

defmodule Bench.Stage.Tally do
  @moduledoc "What all stages of a round have handled: number and sum. Tells the client when the goal is reached."

  def new(goal), do: {:counters.new(1, [:write_concurrency]), :atomics.new(1, []), goal, self()}

  def add({sums, handled, goal, client}, events) do
    :counters.add(sums, 1, Enum.sum(events))
    if :atomics.add_get(handled, 1, length(events)) == goal, do: send(client, {:handled, handled})
    :ok
  end

  def wait({sums, handled, goal, _client}) do
    receive do
      {:handled, ^handled} -> :counters.get(sums, 1)
    after
      30_000 -> raise "lost work: #{:atomics.get(handled, 1)} of #{goal} events were handled"
    end
  end
end

defmodule Bench.Stage.Numbers do
  @moduledoc "Produces 0 … events - 1."
  use GenStage

  @impl true
  def init({events, dispatcher}), do: {:producer, {0, events}, demand: :accumulate, dispatcher: dispatcher}

  @impl true
  def handle_demand(_demand, {events, events}), do: {:noreply, [], {events, events}}

  def handle_demand(demand, {from, events}) do
    next = min(from + demand, events)
    {:noreply, :lists.seq(from, next - 1), {next, events}}
  end
end

defmodule Bench.Stage.Between do
  @moduledoc "Sums the events and passes them on."
  use GenStage

  @impl true
  def init(tally), do: {:producer_consumer, tally}

  @impl true
  def handle_events(events, _from, tally) do
    Bench.Stage.Tally.add(tally, events)
    {:noreply, events, tally}
  end
end

defmodule Bench.Stage.Last do
  @moduledoc "Sums the events."
  use GenStage

  @impl true
  def init(tally), do: {:consumer, tally}

  @impl true
  def handle_events(events, _from, tally) do
    Bench.Stage.Tally.add(tally, events)
    {:noreply, [], tally}
  end
end

defmodule Bench.Stage.Worker do
  @moduledoc "Does one job and ends."
  def start_link(tally, job), do: Task.start_link(fn -> Bench.Stage.Tally.add(tally, [job]) end)
end

defmodule Bench.Stage.Workers do
  @moduledoc "A worker for each job."
  use ConsumerSupervisor

  def start_link(argument), do: ConsumerSupervisor.start_link(__MODULE__, argument)

  @impl true
  def init({tally, producer, workers}) do
    worker = %{id: Bench.Stage.Worker, start: {Bench.Stage.Worker, :start_link, [tally]}, restart: :transient}
    source = {producer, max_demand: workers, min_demand: div(workers * 3, 4)}
    ConsumerSupervisor.init([worker], strategy: :one_for_one, subscribe_to: [source])
  end
end

defmodule Bench.Stage.Cases do
  @moduledoc "See rounds.exs. A round builds all that it needs, so there is no setup."
  alias Bench.Stage.{Between, Last, Numbers, Tally, Workers}

  @max_demand 1_000

  # name => {dispatcher, consumers, stages between, max_demand}
  @flows Map.new(
           [{"stage_demand_100", {:demand, 1, 0, 100}}, {"stage_demand_1000", {:demand, 1, 0, 1_000}}] ++
             for(n <- [1, 2, 4, 8], do: {"stage_fan_out_#{n}", {:demand, n, 0, @max_demand}}) ++
             for(n <- [1, 2, 4, 8], do: {"stage_broadcast_#{n}", {:broadcast, n, 0, @max_demand}}) ++
             for(n <- [2, 4, 8], do: {"stage_partition_#{n}", {:partition, n, 0, @max_demand}}) ++
             for(n <- [1, 2, 3], do: {"stage_hops_#{n}", {:demand, 1, n - 1, @max_demand}})
         )

  @jobs Map.new([5, 10, 20], fn n -> {"stage_supervisor_#{n}", n} end)

  def names, do: Map.keys(@flows) ++ Map.keys(@jobs)
  def unit(_name), do: "ns"
  def setup(_name, _counts), do: nil

  def round(name, _state, counts) when is_map_key(@flows, name) do
    {dispatch, consumers, between, max_demand} = Map.fetch!(@flows, name)
    events = counts.stage_events
    # A broadcast event counts once it was handled by all: every consumer must have handled as many as were produced.
    copies = if dispatch == :broadcast, do: consumers, else: 1
    tally = Tally.new(events * copies)
    producer = start(Numbers, {events, dispatcher(dispatch, consumers)})
    passed = for _ <- 1..between//1, do: Tally.new(events)
    chain = Enum.map(passed, fn tally -> start(Between, tally) end)
    last = for _ <- 1..consumers, do: start(Last, tally)

    source = Enum.reduce(chain, producer, fn stage, source -> subscribe(stage, source, max_demand, []) end)

    for {stage, partition} <- Enum.with_index(last) do
      subscribe(stage, source, max_demand, if(dispatch == :partition, do: [partition: partition], else: []))
    end

    {elapsed, sum} = timed(producer, fn -> Tally.wait(tally) end)
    check(sum, copies * expected(events))
    for tally <- passed, do: check(Tally.wait(tally), expected(events))
    # Consumers first: a stage stops when its producer does.
    for stage <- last ++ Enum.reverse([producer | chain]), do: GenStage.stop(stage)
    elapsed / events
  end

  def round(name, _state, counts) do
    workers = Map.fetch!(@jobs, name)
    tally = Tally.new(counts.stage_jobs)
    producer = start(Numbers, {counts.stage_jobs, GenStage.DemandDispatcher})
    {:ok, supervisor} = Workers.start_link({tally, producer, workers})
    # An answer means that the subscription, which its init asked for, is under way.
    ConsumerSupervisor.count_children(supervisor)

    {elapsed, sum} =
      timed(producer, fn ->
        sum = Tally.wait(tally)
        gone(supervisor)
        sum
      end)

    check(sum, expected(counts.stage_jobs))
    Supervisor.stop(supervisor)
    GenStage.stop(producer)
    elapsed / counts.stage_jobs
  end

  defp dispatcher(:demand, _consumers), do: GenStage.DemandDispatcher
  defp dispatcher(:broadcast, _consumers), do: GenStage.BroadcastDispatcher

  defp dispatcher(:partition, consumers) do
    {GenStage.PartitionDispatcher, partitions: consumers, hash: fn event -> {event, rem(event, consumers)} end}
  end

  # Gives the stage, as the source of the next one.
  defp subscribe(stage, source, max_demand, more) do
    options = [to: source, max_demand: max_demand, min_demand: div(max_demand * 3, 4), cancel: :temporary] ++ more
    {:ok, _subscription} = GenStage.sync_subscribe(stage, options)
    stage
  end

  defp gone(supervisor) do
    if ConsumerSupervisor.count_children(supervisor).active > 0, do: gone(supervisor), else: :ok
  end

  defp timed(producer, work) do
    :erlang.garbage_collect()
    started = System.monotonic_time(:nanosecond)
    :ok = GenStage.demand(producer, :forward)
    result = work.()
    {System.monotonic_time(:nanosecond) - started, result}
  end

  defp expected(events), do: div(events * (events - 1), 2)

  defp check(sum, sum), do: :ok
  defp check(sum, expected), do: raise("the events have the sum #{sum} instead of #{expected}")

  defp start(module, argument) do
    {:ok, pid} = GenStage.start(module, argument)
    pid
  end
end

Bench.main(System.argv(), Bench.Stage.Cases)
