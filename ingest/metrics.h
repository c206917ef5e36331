#pragma once

#include "core/metrics.h"

// What ingest tells about itself. Labels: `source` is the way in ("otlp", "otlp_grpc",
// "remote_write", "alertmanager", "alertmanager_webhook", "github"), `reason` one of the words in
// intake.h.
namespace vigie::ingest::metrics {

inline constexpr MetricName kAccepted{"vigie_ingest_accepted_requests_total",
                                      "Requests whose data is durable, by source."};
inline constexpr MetricName kAcceptedItems{
    "vigie_ingest_accepted_items_total",
    "Points, log records, spans, alerts and changes in accepted requests, by source."};
inline constexpr MetricName kReceivedBytes{"vigie_ingest_received_bytes_total",
                                           "Body bytes received, by source."};
inline constexpr MetricName kRefused{"vigie_ingest_refused_requests_total",
                                     "Requests refused, by source and reason."};
inline constexpr MetricName kRefusedItems{
    "vigie_ingest_refused_items_total",
    "Points and alerts refused in a request whose others were accepted, by source."};
inline constexpr MetricName kIgnored{"vigie_ingest_ignored_events_total",
                                     "Valid events that Vigie has no use for, by source."};
inline constexpr MetricName kForeignLines{
    "vigie_ingest_foreign_lines_total",
    "Lines sent as syslog that are not, and were taken as plain text, by source."};
inline constexpr MetricName kWatchFailures{
    "vigie_ingest_watch_failures_total",
    "Times that another program could not be watched, and was tried again, by source."};
inline constexpr MetricName kDuplicates{"vigie_ingest_duplicate_deliveries_total",
                                        "Deliveries received before, by source."};
inline constexpr MetricName kClampedTimes{
    "vigie_ingest_clamped_times_total",
    "Times too far from the clock to be believed, by source and direction."};
inline constexpr MetricName kDeadLetters{"vigie_ingest_dead_letters_total",
                                         "Refused bodies kept on the dead-letter topic."};
inline constexpr MetricName kDeadLettersLost{
    "vigie_ingest_dead_letters_lost_total",
    "Refused bodies that could not be kept: the dead-letter topic did not take them."};
inline constexpr MetricName kInFlightBytes{"vigie_ingest_in_flight_bytes",
                                           "Body bytes accepted and not yet answered."};
inline constexpr MetricName kAppendSeconds{"vigie_ingest_append_seconds",
                                           "Time from append to durable, by source."};
// `sender` is a name of ingest.sources, or the way in where none is named.
inline constexpr MetricName kSourceRequests{"vigie_ingest_source_requests_total",
                                            "Telemetry requests let in, by sender."};
inline constexpr MetricName kSourceItems{"vigie_ingest_source_items_total",
                                         "Points, log records and spans read, by sender."};
inline constexpr MetricName kSourceLimited{
    "vigie_ingest_source_limited_total",
    "Requests refused because their sender sends more than he may, by sender."};
inline constexpr MetricName kSourceOverflow{
    "vigie_ingest_source_overflow_items_total",
    "Points of series beyond their sender's bound, summed up in overflow series, by sender."};
inline constexpr MetricName kSourceSeries{"vigie_ingest_source_series",
                                          "Series in the last one to two windows, by sender."};
inline constexpr MetricName kSourceLabelValues{
    "vigie_ingest_source_label_values",
    "About how many values the label with most of them has, by sender and label; only of a sender "
    "that reached its bound."};
inline constexpr MetricName kScrapes{"vigie_ingest_scrapes_total",
                                     "Times that a target was asked for its metrics, by job."};
inline constexpr MetricName kScrapesFailed{
    "vigie_ingest_failed_scrapes_total",
    "Scrapes that brought nothing, came late or were lost, by reason."};
inline constexpr MetricName kScrapeTargets{"vigie_ingest_scrape_targets", "Targets known now."};
inline constexpr MetricName kTicks{"vigie_ingest_ticks_total", "Tick records made durable."};
inline constexpr MetricName kTicksFailed{"vigie_ingest_ticks_failed_total",
                                         "Tick records that the bus did not take."};

}  // namespace vigie::ingest::metrics
