#pragma once

#include <set>
#include <string>

#include "app/import_alertmanager.h"

namespace vigie::app {

// What the alerting rules of a Prometheus rule file become: entries of `detect.rules`, with the
// same expression, for and keep_firing_for. What reads the name of a recording rule of the same
// file gets that rule's expression instead. A rule that cannot be expressed is refused, with the
// place in the file and the reason, and is not in the YAML. kInvalid for what is not YAML or not a
// rule file. https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/
// `file` is what the lines call it. A name that is in `names` gets a number; all that are given are
// added.
Result<Imported> import_prometheus_rules(const std::string& text, const std::string& file,
                                         std::set<std::string>& names);

}  // namespace vigie::app
