# How the scripts of the Elixir side are run; they are given to `Bench.main/2` as a module with the cases:
#
#   names/0, unit/1   the cases; "ns" (per operation) or "B" (per process)
#   setup/2           makes what a case needs, once
#   round/3           does one round and returns the figure per operation
#
# Output: one JSON object per line, {"name", "unit", "samples"}. `--serve` exists so that benchmark/run.ts can take turns
# with this process: rounds of Node and of the BEAM then alternate, and whatever the machine does meanwhile happens to
# both. It answers an unknown name with {"error"}. Counts come from benchmark/counts.json, their only home.

defmodule Bench.Counts do
  @moduledoc "Reads the flat JSON object of counts; the standard library of this Elixir has no JSON parser."

  def load do
    text = File.read!(Path.join([__DIR__, "..", "counts.json"]))

    for [_, key, value] <- Regex.scan(~r/"(\w+)":\s*(\d+)/, text), into: %{} do
      {String.to_atom(key), String.to_integer(value)}
    end
  end
end

defmodule Bench do
  @moduledoc "The two ways to run: everything at once, or one round per line of input."

  def main(["--serve"], cases), do: serve(cases, Bench.Counts.load(), %{})
  def main(["--rounds", rounds], cases), do: all(cases, String.to_integer(rounds))
  def main([], cases), do: all(cases, 7)

  defp all(cases, rounds) do
    counts = Bench.Counts.load()

    for name <- cases.names() do
      state = cases.setup(name, counts)
      cases.round(name, state, counts)
      print(cases, name, for(_ <- 1..rounds, do: cases.round(name, state, counts)))
    end
  end

  defp serve(cases, counts, states) do
    case IO.gets("") do
      line when is_binary(line) -> serve(cases, counts, answer(cases, String.trim(line), counts, states))
      _end_of_input -> :ok
    end
  end

  defp answer(cases, name, counts, states) do
    if name in cases.names() do
      states = Map.put_new_lazy(states, name, fn -> cases.setup(name, counts) end)
      print(cases, name, [cases.round(name, states[name], counts)])
      states
    else
      IO.puts(~s({"error":"unknown case"}))
      states
    end
  end

  defp print(cases, name, samples) do
    list = Enum.map_join(samples, ",", fn sample -> :erlang.float_to_binary(sample / 1, decimals: 2) end)
    IO.puts(~s({"name":"#{name}","unit":"#{cases.unit(name)}","samples":[#{list}]}))
  end
end
