#include <algorithm>
#include <charconv>
#include <ctime>
#include <iostream>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>

#include "app/commands.h"
#include "app/line_file.h"
#include "detectors/logs/logs.h"
#include "detectors/logs/miner.h"

namespace vigie::app {

namespace {

using detectors::TemplateId;

constexpr std::size_t kLineBytesMax = 64 * 1024;
constexpr double kSecondsMax = 250'000'000'000;  // Before the year 9999.
constexpr std::chrono::seconds kAdvanceInterval{1};

// The ids that were given, what became of them, and their texts.
struct Mined {
    std::vector<TemplateId> ids;  // By line.
    std::unordered_map<TemplateId, TemplateId> joined;
    std::unordered_map<TemplateId, std::string>
        texts;  // As CSV; of those that live or were forgotten.

    TemplateId settled(TemplateId id) const {
        for (auto at = joined.find(id); at != joined.end(); at = joined.find(id)) id = at->second;
        return id;
    }
};

Result<Mined> mine(LineFile& file, std::size_t templates_max) {
    detectors::MinerOptions options;
    options.templates_max = templates_max;
    detectors::LogMiner miner(options);
    Mined mined;
    for (;;) {
        VIGIE_TRY_ASSIGN(const auto line, file.next());
        if (!line) break;
        mined.ids.push_back(miner.learn(*line).id);
        for (const auto& alias : miner.take_aliases()) mined.joined[alias.from] = alias.into;
        for (const auto& gone : miner.take_forgotten()) mined.texts[gone.id] = csv_field(gone.text);
    }
    for (const TemplateId id : mined.ids) {
        const TemplateId last = mined.settled(id);
        if (!mined.texts.contains(last)) mined.texts[last] = csv_field(miner.text(last));
    }
    return mined;
}

Status print_templates(LineFile& file, const DetectorLogsCommand& command) {
    const std::clock_t start = std::clock();
    VIGIE_TRY_ASSIGN(const Mined mined, mine(file, command.templates_max));
    const double took = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    std::string out = "LineId,ClusterId,Template\n";
    std::size_t line = 0;
    for (const TemplateId id : mined.ids) {
        const TemplateId last = mined.settled(id);
        out += fmt::format("{},{},{}\n", ++line, command.settled ? last : id, mined.texts.at(last));
        if (out.size() < kLineBytesMax) continue;
        std::cout << out;
        out.clear();
    }
    std::cout << out << std::flush;
    fmt::print(stderr,
               "{} lines mined in {:.3f} s of CPU, {} templates; {} lines cut at {} bytes\n",
               mined.ids.size(), took, mined.texts.size(), file.cut(), kLineBytesMax);
    return {};
}

Result<schemas::LogRecord> parse_record(std::string_view line, std::uint64_t number) {
    const auto bad = [number](std::string_view what) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("line {}: {}; expected unix-seconds<TAB>service<TAB>message",
                                number, what));
    };
    const std::size_t first = line.find('\t');
    const std::size_t second = first == std::string_view::npos ? first : line.find('\t', first + 1);
    if (second == std::string_view::npos) return bad("it has no two tabs");
    double seconds = 0;
    const std::string_view time = line.substr(0, first);
    const auto [end, error] = std::from_chars(time.data(), time.data() + time.size(), seconds);
    // Not-a-number is no time either.
    if (error != std::errc{} || end != time.data() + time.size() ||
        !(seconds >= 0 && seconds <= kSecondsMax)) {
        return bad(fmt::format("'{}' is no time", csv_field(time)));
    }
    schemas::LogRecord record;
    record.at = event_time_from_micros(static_cast<std::int64_t>(seconds * 1e6));
    record.body = line.substr(second + 1);
    record.attributes = {{"service.name", std::string(line.substr(first + 1, second - first - 1))}};
    return record;
}

void print_alerts(const detectors::Findings& found, EventTime now) {
    for (const auto& anomaly : found.anomalies) {
        if (!anomaly.firing) continue;
        std::string_view service = anomaly.entity.value;
        service.remove_prefix(std::min(service.size(), service.find(':') + 1));
        std::cout << fmt::format("{:.3f},{},{},{:.3g},{}\n",
                                 static_cast<double>(micros_of(now)) / 1e6, csv_field(service),
                                 csv_field(anomaly.detector), anomaly.score,
                                 csv_field(anomaly.reason));
    }
}

Status print_alerts_of(LineFile& file) {
    VIGIE_TRY_ASSIGN(const auto detector, detectors::make_log_detector({}));
    std::cout << "time,service,detector,score,reason\n";
    EventTime now{};
    EventTime told{};
    for (;;) {
        VIGIE_TRY_ASSIGN(const auto line, file.next());
        if (!line) break;
        VIGIE_TRY_ASSIGN(const auto record, parse_record(*line, file.lines()));
        now = std::max(now, record.at);
        detectors::Findings found;
        detector->observe(std::span<const schemas::LogRecord>(&record, 1), found);
        if (now - told >= kAdvanceInterval) {
            detector->advance(now, found);
            told = now;
        }
        print_alerts(found, now);
    }
    std::cout.flush();
    std::string dropped;
    for (const auto& [reason, count] : detector->counts().dropped) {
        dropped += fmt::format(", {} {}", count, reason);
    }
    fmt::print(stderr, "{} lines{}\n", file.lines(), dropped);
    return {};
}

Status detect(const DetectorLogsCommand& command) {
    VIGIE_TRY_ASSIGN(auto file, LineFile::open(command.file, kLineBytesMax));
    return command.alerts ? print_alerts_of(file) : print_templates(file, command);
}

}  // namespace

int run_detector_logs(const DetectorLogsCommand& command) {
    const auto done = detect(command);
    if (done) return 0;
    std::cout.flush();
    fmt::print(stderr, "vigie: detector logs: {}\n", done.error().message);
    return 1;
}

}  // namespace vigie::app
