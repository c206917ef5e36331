#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "app/api_client.h"
#include "app/log_access.h"
#include "app/render.h"

// What the subcommands do once their arguments are read. Each returns the exit code: 0 done,
// 1 failed. Results go to stdout, everything else to stderr.
namespace vigie::app {

struct ApiCommand {
    ApiClient::Options client;
    Format format = Format::kTable;
};

int run_get_incidents(const ApiCommand& command, const std::string& state, int limit);
int run_describe(const ApiCommand& command, const std::string& incident);
int run_postmortem(const ApiCommand& command, const std::string& incident);
int run_explain(const ApiCommand& command, const std::string& id);
int run_explain_request(const ApiCommand& command, const std::string& id);

struct DecideCommand {
    ApiCommand api;
    std::string kind;        // "ack", "approve", "reject", "mode", "kill"
    std::string incident;    // "" for mode and kill
    std::string plan;        // For approve and reject; "": the plan that the incident has now
    bool confirmed = false;  // Approves that plan without asking
    std::string reason;
    std::string value;
    std::string scope;
    std::string lasts;  // Of a silence: "2h30m"
    std::string actor;
};
int run_decide(DecideCommand command);

// Writes the kill-switch file of a data folder directly, which works even when the server does
// not answer, and tells the server too.
int run_kill(DecideCommand command, const std::string& data);

struct ReplayCommand {
    LogPlace place;
    std::string incident;             // Only what concerns this incident; "": everything
    std::optional<std::string> from;  // RFC 3339
    std::optional<std::string> to;
    Format format = Format::kTable;  // A line each; kJson: the records themselves
};
int run_replay(const ReplayCommand& command);

// Copies the log of the data folder to Kafka, both as the configuration says.
struct MigrateCommand {
    std::string config;
    Format format = Format::kTable;
};
int run_migrate(const MigrateCommand& command);

// Judges the rows of a CSV file "timestamp,value" as the deep detector does, causally, and prints
// timestamp,value,expected,lower,upper,score,probability,anomaly: one row for each row.
int run_detector_replay(const std::string& file);

// What the detectors would have told of the recorded telemetry between two times: a line for each
// detector and signal, or with kJson each anomaly. 1 when the log has none.
struct BacktestCommand {
    LogPlace place;
    std::string detectors;  // Configuration whose section `detect` is tried; "": that of the place
    std::string from;       // RFC 3339
    std::string to;
    std::string learn;  // How long before `from` detectors learn; "": from the oldest record on
    Format format = Format::kTable;
};
int run_detector_backtest(const BacktestCommand& command);

// Gives each line of a file to the template miner ("-": standard input) and prints
// LineId,ClusterId,Template: the id that the line had when it was read, or with `settled` the one
// that its template has in the end, and the template as it is in the end. With `alerts` the lines
// are "unix-seconds<TAB>service<TAB>message" in the order they came, and what the log detector
// fires is printed, with the time at which it knew.
struct DetectorLogsCommand {
    std::string file;
    bool settled = false;
    bool alerts = false;
    std::size_t templates_max = 100'000;
};
int run_detector_logs(const DetectorLogsCommand& command);

// Prints who called whom in the recorded spans, and how often.
struct DetectorMapCommand {
    LogPlace place;
    std::optional<std::string> from;  // RFC 3339
    std::optional<std::string> to;
    Format format = Format::kTable;
};
int run_detector_service_map(const DetectorMapCommand& command);

// Prints thresholds that a rule on these samples could have had, with the alarms it would have
// raised: of CSV files "timestamp,value", or of the series of the recorded log that `metric`
// chooses ("http_*{job=shop}").
struct DetectorProposeCommand {
    std::vector<std::string> files;
    LogPlace place;
    std::string metric;
    std::optional<std::string> from;  // RFC 3339
    std::optional<std::string> to;
    bool below = false;
    std::string hold;  // "5m"
    std::vector<double> alarms_per_day;
    Format format = Format::kTable;
};
int run_detector_propose(const DetectorProposeCommand& command);

// Prints what an alertmanager.yml becomes here; 1 when a part of it cannot be expressed.
int run_import_alertmanager(const std::string& file);

// Prints what the alerting rules of Prometheus rule files become here, as one list; 1 when one of
// them cannot be expressed.
int run_import_prometheus_rules(const std::vector<std::string>& files);

int run_check_config(const std::string& file);
int run_serve(const std::string& file);  // "": defaults

}  // namespace vigie::app
