#pragma once

#include <string>
#include <vector>

#include "core/result.h"

namespace vigie::app {

// What an alertmanager.yml becomes in Vigie's configuration.
struct Imported {
    std::string yaml;                   // A part of vigie.yaml; read it before it is used
    std::vector<std::string> notes;     // "file:12:3: …": what is done in another way
    std::vector<std::string> refusals;  // "file:12:3: …": what cannot be expressed
};

// Receivers become channels, routes become notify.routes, and times in which they are muted
// notify.time_intervals. kInvalid for what is not YAML or not an Alertmanager's configuration.
// Vigie tells its channels of incidents, not of alerts, and inhibits by its own correlation, so
// inhibit rules and matchers on labels other than severity and service are refused, as are times
// that are not UTC and active_time_intervals, each with its line. Every key that nothing is made of
// has a line among the notes or the refusals; what `yaml` says is taken by parse_config, as far as
// the files that it names are there. `file` is what the lines call it.
Result<Imported> import_alertmanager(const std::string& text, const std::string& file);

}  // namespace vigie::app
