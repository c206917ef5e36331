# The configuration without the program around it, which would take most of the build.
set(app ${CMAKE_SOURCE_DIR}/app)
add_library(fuzz_configuration STATIC ${app}/act_stage.cc ${app}/bus_config.cc ${app}/config.cc
  ${app}/detect_config.cc ${app}/import_prometheus_rules.cc ${app}/ingest_config.cc ${app}/notify_stage.cc ${app}/outward.cc ${app}/outward_config.cc
  ${app}/policy_config.cc ${app}/section.cc ${app}/series_csv.cc ${app}/yaml.cc
  ${CMAKE_BINARY_DIR}/generated/runbooks_embedded.cc)
target_link_libraries(fuzz_configuration PUBLIC vigie_streams_kafka vigie_detectors vigie_detectors_logs
  vigie_detectors_rules vigie_detectors_traces
  vigie_responders_agent vigie_ingest vigie_responders_actions vigie_responders_notify yaml-cpp)
foreach(name yaml runbook config promql series_csv)
  vigie_fuzz(${name} fuzz_configuration)
endforeach()
