#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/log.h"
#include "core/metrics.h"
#include "core/result.h"
#include "core/time.h"
#include "ingest/intake.h"
#include "ingest/scrape_page.h"
#include "schemas/exposition.h"
#include "schemas/telemetry.h"

namespace vigie::ingest {

// Addresses ("web-1:9100") and labels that they have in common.
struct TargetGroup {
    std::vector<std::string> targets;
    schemas::Labels labels;
};

// One entry of `scrape_configs`; names and defaults are Prometheus'.
// https://prometheus.io/docs/prometheus/latest/configuration/configuration/#scrape_config
struct ScrapeJob {
    std::string name;
    std::chrono::milliseconds interval{60'000};
    std::chrono::milliseconds timeout{10'000};
    std::string metrics_path = "/metrics";
    std::string scheme = "http";
    std::vector<std::pair<std::string, std::string>> params;
    bool honor_labels = false;
    bool honor_timestamps = true;
    std::string authorization;  // The header's value; "" sends none. `authorization_file` instead
    std::string authorization_type = "Bearer";
    std::string authorization_file;  // Read at every scrape: it is rotated.
    std::string ca_file;
    std::size_t body_bytes_max = 16 * 1024 * 1024;
    schemas::ExpositionLimits limits;
    std::vector<TargetGroup> groups;  // static_configs
    // file_sd_configs: paths, whose last part may have "*".
    std::vector<std::string> files;
    std::chrono::milliseconds refresh{300'000};
};

// Reads a file of targets. For any thread.
using ReadTargets = std::function<Result<std::vector<TargetGroup>>(const std::string& file)>;

// Asks programs for their metrics, for those who have no Prometheus: what they show goes onto
// vigie.metrics as remote write, with job and instance, and beside it `up`,
// `scrape_duration_seconds` and `scrape_samples_scraped`. A series that is no longer shown, or all
// when a target does not answer or goes, gets Prometheus' staleness marker.
//
// A scrape whose page is wrong (the log names the line), too large, late or not 200 counts as
// down, and nothing of it is kept. Scrapes of a target never overlap; when all threads are busy
// they come late, which is counted.
class Scraper {
public:
    struct Options {
        std::vector<ScrapeJob> jobs;  // Names must differ.
        unsigned threads = 4;
        std::size_t targets_max = 10'000;  // Beyond, targets of files are left out and counted.
        ReadTargets read_targets;          // Needed for jobs with files
    };

    // `clock`, `metrics` and `log` must outlive it.
    Scraper(Options options, std::shared_ptr<Intake> intake, const Clock& clock,
            MetricsRegistry& metrics, Log& log);
    ~Scraper();
    Scraper(const Scraper&) = delete;
    Scraper& operator=(const Scraper&) = delete;

    unsigned threads() const { return options_.threads; }

    // Until `stop` is requested. For several threads of their own at once.
    void run(const std::stop_token& stop);

    // Does what is due now, at most one scrape. True when there was something; else `wait` says
    // for how long there will be nothing.
    bool step(std::chrono::milliseconds& wait, const std::stop_token& stop);

private:
    struct Target;
    struct Job;

    std::shared_ptr<Target> take_due(std::chrono::milliseconds& wait);
    void refresh_files(Job& job, SteadyTime now);
    void set_targets(Job& job, const std::vector<TargetGroup>& groups, SteadyTime now);
    class Outgoing;

    bool scrape(Target& target, const std::stop_token& stop);
    Status fetch(const Target& target, const std::stop_token& stop, ScrapedPage& page) const;
    static std::size_t collect(Target& target, const ScrapedPage& page, EventTime at,
                               Outgoing& out);
    void tell(Target& target, const Status& done);

    const Options options_;
    const std::shared_ptr<Intake> intake_;
    const Clock& clock_;
    MetricsRegistry& metrics_;
    Log& log_;

    std::mutex mutex_;  // Protects the jobs' lists, and who is busy.
    std::vector<std::unique_ptr<Job>> jobs_;
    std::size_t targets_ = 0;
};

}  // namespace vigie::ingest
