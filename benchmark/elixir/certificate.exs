# What two BEAMs need to talk over TLS: a certificate with its key, and the options of their distribution, which verify nothing.
#
#   elixir benchmark/elixir/certificate.exs <folder>     writes cert.pem, key.pem and tls.conf there

[folder] = System.argv()
path = &Path.join(folder, &1)
chain = %{root: [], intermediates: [], peer: []}
%{server_config: config} = :public_key.pkix_test_data(%{server_chain: chain, client_chain: chain})
{type, key} = config[:key]

File.write!(path.("cert.pem"), :public_key.pem_encode([{:Certificate, config[:cert], :not_encrypted}]))
File.write!(path.("key.pem"), :public_key.pem_encode([{type, key, :not_encrypted}]))

File.write!(path.("tls.conf"), """
[{server, [{certfile, #{inspect(path.("cert.pem"))}}, {keyfile, #{inspect(path.("key.pem"))}}, {verify, verify_none}]},
 {client, [{verify, verify_none}]}].
""")
