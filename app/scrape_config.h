#pragma once

#include <string>
#include <vector>

#include "app/section.h"
#include "core/result.h"
#include "ingest/scrape.h"

namespace vigie::app {

// `scrape_configs`, as Prometheus has it less service discovery and relabelling, and `scrape`,
// which bounds it. Files of targets are other programs', and are not read here.
void read_scrape(Section& root, ingest::Scraper::Options& options);

// A line for each file of targets that is there and cannot be used as it is now.
std::vector<std::string> warnings_of(const ingest::Scraper::Options& options);

// A file of file_sd_configs: a list of {targets, labels}, in YAML or JSON. kNotFound, kInvalid with
// file, line and column.
Result<std::vector<ingest::TargetGroup>> read_target_file(const std::string& file);

}  // namespace vigie::app
