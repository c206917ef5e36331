#pragma once

#include <string>
#include <vector>

#include "app/section.h"
#include "core/result.h"
#include "ingest/scrape.h"

namespace vigie::app {

// `scrape_configs`, as Prometheus has it less service discovery and relabelling, and `scrape`,
// which bounds it. Files of targets that are there are checked, and may come later.
void read_scrape(Section& root, ingest::Scraper::Options& options);

// A file of file_sd_configs: a list of {targets, labels}, in YAML or JSON. kNotFound, kInvalid with
// file, line and column.
Result<std::vector<ingest::TargetGroup>> read_target_file(const std::string& file);

}  // namespace vigie::app
