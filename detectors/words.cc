#include "detectors/words.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdint>

#include <fmt/format.h>

namespace vigie::detectors {

namespace {

struct Scale {
    double factor = 1;  // Shown = value * factor
    std::string_view name;
};

Scale scale_of(double value, std::string_view unit) {
    const double size = std::abs(value);
    if (unit == "s") {
        if (size >= 1 || size == 0) return {1, " s"};
        return size >= 1e-3 ? Scale{1e3, " ms"} : Scale{1e6, " µs"};
    }
    if (unit == "ratio") return {100, " %"};
    if (unit == "B" || unit == "B/s") {
        static constexpr std::array<std::array<std::string_view, 2>, 5> kNames{
            {{" B", " B/s"},
             {" KiB", " KiB/s"},
             {" MiB", " MiB/s"},
             {" GiB", " GiB/s"},
             {" TiB", " TiB/s"}}};
        std::size_t step = 0;
        double factor = 1;
        while (size * factor >= 1024 && step + 1 < kNames.size()) {
            factor /= 1024;
            ++step;
        }
        return {factor, kNames.at(step).at(unit == "B" ? 0 : 1)};
    }
    if (unit == "1/s") return {1, " /s"};
    if (unit == "s/s") return {1, " s/s"};
    if (unit == "°C") return {1, " °C"};
    return {1, ""};
}

std::string number(double value) {
    const double size = std::abs(value);
    if (size != 0 && (size >= 1e7 || size < 1e-3)) return fmt::format("{:.3g}", value);
    if (size >= 100) return fmt::format("{:.0f}", value);
    return fmt::format("{:.3g}", value);
}

bool has_any(std::string_view text, std::initializer_list<std::string_view> words) {
    return std::ranges::any_of(
        words, [text](std::string_view word) { return text.find(word) != std::string_view::npos; });
}

std::string lower_case(std::string_view text) {
    std::string lower(text);
    std::ranges::transform(lower, lower.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return lower;
}

bool is_server_error(std::string_view code) {
    return code.size() == 3 && code.front() == '5' &&
           std::ranges::all_of(code, [](char c) { return (c >= '0' && c <= '9') || c == 'x'; });
}

// The name without what the type of the metric adds to it.
std::string_view base_of(std::string_view metric) {
    for (const std::string_view suffix : {"_total", "_sum", "_bucket", "_count"}) {
        if (metric.ends_with(suffix)) return metric.substr(0, metric.size() - suffix.size());
    }
    return metric;
}

}  // namespace

std::string with_unit(double value, std::string_view unit) {
    const Scale scale = scale_of(value, unit);
    return number(value * scale.factor) + std::string(scale.name);
}

std::string range_with_unit(double low, double high, std::string_view unit) {
    const Scale scale = scale_of(std::max(std::abs(low), std::abs(high)), unit);
    const std::string from = number(low * scale.factor);
    const std::string to = number(high * scale.factor);
    if (from == to) return to + std::string(scale.name);
    return fmt::format("{}–{}{}", from, to, scale.name);
}

std::string span_text(EventClock::duration duration) {
    const double seconds = std::chrono::duration<double>(duration).count();
    if (seconds < 120) return fmt::format("{:.3g} s", seconds);
    if (seconds < 7200) return fmt::format("{:.0f} min", seconds / 60);
    return fmt::format("{:.0f} h", seconds / 3600);
}

std::string cut(std::string_view text, std::size_t bytes_max) {
    if (text.size() <= bytes_max) return std::string(text);
    std::size_t end = bytes_max;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;
    return std::string(text.substr(0, end)) + "…";
}

schemas::Symptom symptom_of(std::string_view metric, const schemas::Labels& labels) {
    using schemas::Symptom;
    const std::string name = lower_case(metric);
    for (const std::string_view key :
         {"code", "status", "status_code", "http_response_status_code"}) {
        if (is_server_error(schemas::label(labels, key))) return Symptom::kErrors;
    }
    if (has_any(name, {"error", "fail", "exception", "5xx", "panic", "fatal"})) {
        return Symptom::kErrors;
    }
    const bool timed = has_any(name, {"latency", "duration", "response_time", "seconds"});
    const bool histogram = name.ends_with("_sum") || name.ends_with("_bucket") ||
                           !schemas::label(labels, "quantile").empty();
    if (timed && name.ends_with("_count")) return Symptom::kTraffic;
    if (has_any(name, {"latency", "duration", "response_time"}) || (timed && histogram)) {
        return Symptom::kLatency;
    }
    if (has_any(name, {"cpu", "memory", "mem_", "filesystem", "disk", "swap", "_load", "load1",
                       "inode", "_fds", "queue", "heap", "threads", "saturation", "pressure"})) {
        return Symptom::kSaturation;
    }
    // Of Little's law: it rises with latency as with traffic, and so tells of neither.
    if (has_any(name, {"in_flight", "inflight", "concurren"})) return Symptom::kOther;
    if (has_any(name, {"request", "_rps", "qps", "traffic", "network_", "_rpc"})) {
        return Symptom::kTraffic;
    }
    return Symptom::kOther;
}

std::string unit_of(std::string_view metric, bool rate) {
    const std::string_view base = base_of(metric);
    const bool counts = metric.ends_with("_count") || metric.ends_with("_bucket");
    if (!counts && base.ends_with("_seconds")) return rate ? "s/s" : "s";
    if (!counts && base.ends_with("_bytes")) return rate ? "B/s" : "B";
    if (rate) return "1/s";
    if (base.ends_with("_ratio")) return "ratio";
    if (base.ends_with("_celsius")) return "°C";
    return "1";
}

bool counter_by_name(std::string_view metric) {
    return metric.ends_with("_total") || metric.ends_with("_count") || metric.ends_with("_sum") ||
           metric.ends_with("_bucket");
}

double finite(double value) {
    if (std::isnan(value)) return 0;
    return std::clamp(value, -1e300, 1e300);
}

}  // namespace vigie::detectors
