foreach(name matchers remote_write otlp_metrics otlp_logs otlp_traces event json compression exposition)
  vigie_fuzz(${name} vigie_schemas)
endforeach()
