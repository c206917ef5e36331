#include <charconv>
#include <iostream>

#include <fmt/format.h>

#include "app/log_access.h"
#include "app/log_commands.h"
#include "app/log_text.h"
#include "schemas/json.h"
#include "schemas/topics.h"

namespace vigie::app {

namespace {

using schemas::Json;
namespace topics = schemas::topics;

const streams::Partition kLetters{std::string(topics::kDeadLetter), 0};
// What the worker adds to the record that it refuses (streams/worker.cc).
constexpr std::string_view kStage = "stage";
constexpr std::string_view kKey = "key";
constexpr std::string_view kTimer = "timer";
constexpr std::string_view kCut = "value_bytes";

int outcome(const Status& status) {
    if (status) return 0;
    fmt::print(stderr, "vigie: {}\n", status.error().message);
    return 1;
}

std::string text_of(const streams::Message& letter, std::string_view name) {
    return printable(std::string(header_of(letter, name)));
}

Status list(const LogCommand& command) {
    VIGIE_TRY_ASSIGN(const auto access, LogAccess::open(command.place, LogAccess::Intent::kLook));
    std::vector<std::vector<std::string>> rows{
        {"OFFSET", "TIME", "REFUSED BY", "ORIGIN", "BYTES", "REASON"}};
    Json all = Json::array();
    std::size_t left = command.records_max;
    streams::Offset next = 0;
    VIGIE_TRY(for_each_record(
        access->bus(), kLetters, command.from.value_or(0),
        [&](const streams::Record& record) -> Result<bool> {
            const auto& letter = record.message;
            const std::string stage = text_of(letter, kStage);
            const std::string by = stage.empty() ? printable(letter.key) : "stage " + stage;
            const std::string time = to_rfc3339(letter.event_time);
            rows.push_back(
                {std::to_string(record.offset), time, by, text_of(letter, topics::kHeaderOrigin),
                 std::to_string(letter.value.size()), text_of(letter, topics::kHeaderReason)});
            all.push_back({{"offset", record.offset},
                           {"time", time},
                           {"refused_by", by},
                           {"origin", text_of(letter, topics::kHeaderOrigin)},
                           {"bytes", letter.value.size()},
                           {"reason", text_of(letter, topics::kHeaderReason)}});
            next = record.offset + 1;
            return --left > 0;
        }));
    if (command.format != Format::kTable) {
        std::cout << formatted(all, command.format);
    } else {
        std::cout << (rows.size() == 1 ? "no dead letters\n" : table(rows));
    }
    std::cout.flush();
    VIGIE_TRY_ASSIGN(const auto range, access->bus().range(kLetters));
    if (left == 0 && next < range.end) {
        fmt::print(stderr, "vigie: {} more follow: --from {}, or a larger --max\n",
                   range.end - next, next);
    }
    return {};
}

Result<streams::Record> letter_at(const streams::Bus& bus, streams::Offset offset) {
    VIGIE_TRY_ASSIGN(const auto range, bus.range(kLetters));
    if (offset >= range.begin && offset < range.end) {
        VIGIE_TRY_ASSIGN(auto records,
                         bus.read(kLetters, offset, {1, std::chrono::milliseconds{0}}));
        if (!records.empty() && records.front().offset == offset) return std::move(records.front());
    }
    return fail(
        ErrorKind::kNotFound,
        fmt::format("there is no dead letter {}; 'vigie deadletter list' shows them", offset));
}

Status show(const LogCommand& command) {
    VIGIE_TRY_ASSIGN(const auto access, LogAccess::open(command.place, LogAccess::Intent::kLook));
    VIGIE_TRY_ASSIGN(const auto record, letter_at(access->bus(), command.letter));
    if (command.raw) {
        std::cout << record.message.value;
    } else if (command.format != Format::kTable) {
        VIGIE_TRY_ASSIGN(const Json json, schemas::parse_json(record_line(record)));
        std::cout << formatted(json, command.format);
    } else {
        for (const auto& [name, value] : record.message.headers) {
            fmt::print("{}: {}\n", printable(name), printable(value));
        }
        const auto& bytes = record.message.value;
        fmt::print("\n{}\n", is_utf8(bytes)
                                 ? printable(bytes)
                                 : fmt::format("({} bytes that are not text; --raw gives them as "
                                               "they came)",
                                               bytes.size()));
    }
    std::cout.flush();
    return {};
}

// The record that a stage refused, as it was; kInvalid says why there is none.
Result<streams::Message> original_of(const streams::Message& letter) {
    if (header_of(letter, kStage).empty()) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("a receiver refused it before it was on a topic: send it again "
                                "with 'vigie deadletter show --raw', to {}",
                                text_of(letter, topics::kHeaderOrigin)));
    }
    if (!header_of(letter, kTimer).empty()) {
        return fail(ErrorKind::kInvalid, "it is a timer, which cannot be put back");
    }
    if (!header_of(letter, kCut).empty()) {
        return fail(ErrorKind::kInvalid, "its bytes were cut when it was kept");
    }
    const auto origin = header_of(letter, topics::kHeaderOrigin);
    streams::Message out;
    out.topic = origin.substr(0, origin.rfind('/'));
    out.key = header_of(letter, kKey);
    out.value = letter.value;
    out.event_time = letter.event_time;
    for (const auto& header : letter.headers) {
        const bool added = header.first == topics::kHeaderReason ||
                           header.first == topics::kHeaderOrigin || header.first == kStage ||
                           header.first == kKey;
        if (!added) out.headers.push_back(header);
    }
    return out;
}

Status retry_one(streams::Bus& bus, const streams::Record& record) {
    VIGIE_TRY_ASSIGN(const auto original, original_of(record.message));
    VIGIE_TRY(streams::append_and_wait(bus, {original}));
    fmt::print("dead letter {}: put back on {}\n", record.offset, original.topic);
    return {};
}

Status retry(const LogCommand& command) {
    VIGIE_TRY_ASSIGN(const auto access, LogAccess::open(command.place, LogAccess::Intent::kChange));
    if (command.which != "all") {
        streams::Offset offset = 0;
        const auto& text = command.which;
        std::from_chars(text.data(), text.data() + text.size(), offset);
        VIGIE_TRY_ASSIGN(const auto record, letter_at(access->bus(), offset));
        return retry_one(access->bus(), record);
    }
    std::size_t kept = 0;
    VIGIE_TRY(for_each_record(
        access->bus(), kLetters, command.from.value_or(0),
        [&](const streams::Record& record) -> Result<bool> {
            const Status done = retry_one(access->bus(), record);
            if (done) return true;
            if (done.error().kind != ErrorKind::kInvalid) {
                return fail(Error(done.error())
                                .in(fmt::format("dead letter {} (go on with --from {})",
                                                record.offset, record.offset)));
            }
            fmt::print("dead letter {}: stays: {}\n", record.offset, done.error().message);
            ++kept;
            return true;
        }));
    if (kept == 0) return {};
    return fail(ErrorKind::kInvalid, fmt::format("{} dead {} cannot be put back", kept,
                                                 kept == 1 ? "letter" : "letters"));
}

}  // namespace

int run_deadletter_list(const LogCommand& command) {
    return outcome(list(command));
}

int run_deadletter_show(const LogCommand& command) {
    return outcome(show(command));
}

int run_deadletter_retry(const LogCommand& command) {
    return outcome(retry(command));
}

}  // namespace vigie::app
