#include "ingest/requests.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "core/redact.h"
#include "schemas/json.h"
#include "schemas/topics.h"

namespace vigie::ingest {

namespace topics = schemas::topics;
using schemas::Json;
using streams::Offset;

namespace {

constexpr std::size_t kIdBytesMax = 64;
constexpr Offset kAround = 64;       // Records looked at on both sides of where it should be
constexpr std::size_t kScan = 1000;  // Records of one call of the bus
// A request that came before a tick may be on the log behind it, by less than this.
constexpr std::chrono::seconds kUnderWayMax{60};
constexpr std::size_t kOffsetsMax = 100;

std::string_view id_of(std::span<const std::pair<std::string_view, std::string_view>> headers) {
    for (const auto& [name, value] : headers) {
        if (name == kHeaderRequestId) return value;
    }
    return {};
}

// Ids begin with the time, so that texts compare as times do.
bool is_id(std::string_view id) {
    const auto plain = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-';
    };
    return id.size() == 28 && id.starts_with("req-") && std::ranges::all_of(id, plain);
}

// The records in [from, to), until `visit` says false.
Status walk(const streams::Bus& bus, const streams::Partition& partition, Offset from, Offset to,
            const streams::Bus::Visitor& visit) {
    bool more = true;
    while (more && from < to) {
        const Offset begin = from;
        VIGIE_TRY(bus.scan(partition, begin, {kScan, std::chrono::milliseconds{0}},
                           [&](const streams::RecordView& record) {
                               from = record.offset + 1;
                               more = record.offset < to && visit(record);
                               return more;
                           }));
        if (from == begin) return {};
    }
    return {};
}

// What is looked for.
struct Wanted {
    std::string_view id;
    std::optional<EventTime> at;  // When it came, as its id says
};

Wanted wanted(std::string_view id) {
    constexpr std::size_t kFrom = 4;
    constexpr std::size_t kDigits = 12;
    if (id.size() < kFrom + kDigits) return {id, {}};
    std::int64_t millis = 0;
    const auto digits = id.substr(kFrom, kDigits);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), millis, 16);
    if (error != std::errc{} || end != digits.data() + digits.size()) return {id, {}};
    return {id, to_event_time(WallTime{std::chrono::milliseconds{millis}})};
}

// Whether a record was written before what is wanted; nullopt when it does not say. Ids begin with
// the time of the wall clock, and ticks, of which a quiet partition has many, carry it.
std::optional<bool> is_before(const streams::RecordView& record, const Wanted& what) {
    if (const auto id = id_of(record.headers); !id.empty()) return id < what.id;
    const bool tick = std::ranges::any_of(record.headers, [](const auto& header) {
        return header.first == topics::kHeaderKind && header.second == topics::kKindTick;
    });
    if (!tick || !what.at) return std::nullopt;
    if (record.event_time < *what.at) return true;
    if (record.event_time >= *what.at + kUnderWayMax) return false;
    return std::nullopt;
}

struct Place {
    Offset offset = 0;
    std::optional<bool> before;  // nullopt: no record says
};

// The first record in [from, to) that says whether it was before.
Result<Place> first_that_says(const streams::Bus& bus, const streams::Partition& partition,
                              Offset from, Offset to, const Wanted& what) {
    Place place;
    VIGIE_TRY(walk(bus, partition, from, to, [&](const streams::RecordView& record) {
        place = {record.offset, is_before(record, what)};
        return !place.before;
    }));
    return place;
}

}  // namespace

std::string RequestLog::next_id(WallTime now) {
    const auto millis = static_cast<std::uint64_t>(now.time_since_epoch().count());
    return fmt::format("req-{:012x}-{:.4}-{:06x}", millis & 0xffff'ffff'ffffU, process_,
                       count_.fetch_add(1, std::memory_order_relaxed) & 0xff'ffffU);
}

void RequestLog::remember(std::shared_ptr<const RequestRecord> request) {
    if (requests_max_ == 0) return;
    const std::scoped_lock lock(mutex_);
    if (ring_.size() < requests_max_) {
        ring_.push_back(std::move(request));
        return;
    }
    ring_[next_] = std::move(request);
    next_ = (next_ + 1) % requests_max_;
}

std::shared_ptr<const RequestRecord> RequestLog::find(std::string_view id) const {
    const std::scoped_lock lock(mutex_);
    std::shared_ptr<const RequestRecord> newest;
    for (const auto& request : ring_) {
        if (request->id == id) return request;
        if (request->client_id == id && (!newest || newest->id < request->id)) newest = request;
    }
    return newest;
}

Result<std::vector<Offset>> find_request(const streams::Bus& bus,
                                         const streams::Partition& partition, std::string_view id) {
    VIGIE_TRY_ASSIGN(const auto range, bus.range(partition));
    Offset low = range.begin;
    Offset high = range.end;
    Offset last = range.end;  // The lowest seen that has this id or was written later
    const Wanted what = wanted(id);
    while (high - low > kAround) {
        const Offset middle = low + (high - low) / 2;
        VIGIE_TRY_ASSIGN(const Place there, first_that_says(bus, partition, middle, high, what));
        if (there.before.value_or(false)) {
            low = there.offset;
            continue;
        }
        if (there.before) last = there.offset;
        high = middle;
    }
    // Requests that arrived together may stand in another order, and one may have many records.
    std::vector<Offset> found;
    Offset until = last + kAround;
    VIGIE_TRY(walk(bus, partition, std::max(range.begin, low - kAround), range.end,
                   [&](const streams::RecordView& record) {
                       if (id_of(record.headers) == id) {
                           found.push_back(record.offset);
                           until = std::max(until, record.offset + kAround);
                       }
                       return record.offset < until && found.size() < kOffsetsMax;
                   }));
    return found;
}

namespace {

// Of what is in memory, the partitions are known; else all are looked at.
Json places_of(const streams::Bus& bus, std::string_view id,
               const std::vector<std::pair<std::string, std::string>>& places) {
    std::vector<streams::Partition> partitions;
    const auto add = [&](streams::Partition partition) {
        if (std::ranges::find(partitions, partition) == partitions.end()) {
            partitions.push_back(std::move(partition));
        }
    };
    for (const auto& [topic, key] : places) {
        const auto count = bus.partition_count(topic);
        if (count) add({topic, streams::partition_of(key, *count)});
    }
    if (places.empty()) {
        for (const auto topic : {topics::kMetrics, topics::kLogs, topics::kSpans, topics::kAlerts,
                                 topics::kChanges, topics::kHeartbeats, topics::kDeadLetter}) {
            const auto count = bus.partition_count(topic);
            for (std::int32_t i = 0; count && i < *count; ++i) add({std::string(topic), i});
        }
    }
    Json out = Json::array();
    for (const auto& partition : partitions) {
        const auto offsets = find_request(bus, partition, id);
        if (!offsets) continue;
        for (const Offset offset : *offsets) {
            out.push_back(
                {{"topic", partition.topic}, {"partition", partition.index}, {"offset", offset}});
        }
    }
    return out;
}

Json json_of(const RequestRecord& record) {
    Json json{{"id", record.id},
              {"source", std::string(record.source)},
              {"peer", record.peer},
              {"path", record.path},
              {"at", to_rfc3339(record.at)},
              {"bytes", record.bytes},
              {"status", record.status},
              {"outcome", record.outcome},
              {"items", record.items},
              {"refused_items", record.refused_items},
              {"overflowed_items", record.overflowed_items}};
    if (!record.client_id.empty()) json["client_id"] = record.client_id;
    if (!record.sender.empty()) json["sender"] = record.sender;
    if (!record.reason.empty()) json["reason"] = record.reason;
    return json;
}

}  // namespace

namespace {

http::Response explanation_of(const RequestLog& requests, const streams::Bus& bus,
                              const std::string& id) {
    if (const auto known = requests.find(id)) {
        Json json = json_of(*known);
        json["records"] =
            known->places.empty() ? Json::array() : places_of(bus, known->id, known->places);
        return http::Response::json(200, schemas::dump_json(json));
    }
    Json records = is_id(id) ? places_of(bus, id, {}) : Json::array();
    if (records.empty()) {
        const auto why = fmt::format(
            "nothing is known of request '{}': it is none of the last "
            "ones, and no record of it is on the log",
            one_line(id, kIdBytesMax));
        return http::Response::json(404, schemas::dump_json({{"error", why}}));
    }
    const bool letter = records[0]["topic"] == topics::kDeadLetter;
    const Json json{
        {"id", id}, {"outcome", letter ? "refused" : "accepted"}, {"records", std::move(records)}};
    return http::Response::json(200, schemas::dump_json(json));
}

}  // namespace

void explain_request(RequestLog& requests, const streams::Bus& bus, const http::Request& request,
                     const http::Respond& respond) {
    if (!requests.try_look()) {
        auto busy = http::Response::json(503, R"({"error":"another request is being explained"})");
        busy.headers.emplace_back("retry-after", "1");
        respond(std::move(busy));
        return;
    }
    auto answer = explanation_of(requests, bus, request.path_parts.at(0));
    requests.end_look();
    respond(std::move(answer));
}

}  // namespace vigie::ingest
