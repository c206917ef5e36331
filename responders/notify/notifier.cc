#include "responders/notify/notifier.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>

#include "responders/notify/metrics.h"
#include "responders/notify/post.h"
#include "responders/notify/rows.h"

namespace vigie::notify {

namespace {

constexpr std::size_t kTextBytesMax = 16 * 1024;
// A page does not wait longer than this because a channel asked for a pause.
constexpr std::chrono::seconds kPauseMax{60};

// Channels that rejected it are asked again: somebody may have corrected them meanwhile.
bool is_retried(const Row& row) {
    return is_urgent(row.message) && !row.has(Leg::Status::kDelivered);
}

// Reported already, and on its way nowhere.
bool is_lost(const Row& row) {
    return row.lost && !row.has(Leg::Status::kPending);
}

std::string_view result_of(Delivery delivery) {
    switch (delivery) {
        case Delivery::kDelivered: return "delivered";
        case Delivery::kRetry: return "retry";
        case Delivery::kRejected: return "rejected";
    }
    return "retry";
}

}  // namespace

struct Notifier::Mailbox {
    struct Report {
        Flight flight;
        std::optional<Sent> sent;  // nullopt: the pool had no room for it
    };

    std::vector<Report> take() {
        const std::scoped_lock lock(mutex);
        return std::exchange(reports, {});
    }
    void put(Report report) {
        const std::scoped_lock lock(mutex);
        reports.push_back(std::move(report));
    }

    std::mutex mutex;  // Protects everything below.
    std::vector<Report> reports;
};

namespace {

std::vector<std::string> entities_of(const schemas::Incident& incident) {
    std::set<std::string> entities;
    for (const auto& evidence : incident.evidence) {
        if (evidence.symptom && !evidence.entity.empty()) entities.insert(evidence.entity.value);
    }
    return {entities.begin(), entities.end()};
}

}  // namespace

Notifier::Notifier(Options options, Channels channels, Submit submit, Rng rng,
                   MetricsRegistry& metrics, Log& log)
    : options_(std::move(options)),
      channels_(std::move(channels)),
      submit_(std::move(submit)),
      metrics_(metrics),
      log_(log),
      rng_(rng),
      mailbox_(std::make_shared<Mailbox>()) {
    std::set<std::string_view> names;
    for (const auto& channel : channels_) VIGIE_ASSERT(names.insert(channel->name()).second);
}

Notifier::~Notifier() = default;

std::shared_ptr<const Channel> Notifier::find(std::string_view name) const {
    const auto it = std::find_if(channels_.begin(), channels_.end(),
                                 [name](const auto& channel) { return channel->name() == name; });
    return it == channels_.end() ? nullptr : *it;
}

void Notifier::report_lost(const Message& message) {
    metrics_.counter(metric::kLost, {{"kind", message.kind}}).add();
    const auto write = is_urgent(message) ? LogLevel::kError : LogLevel::kWarn;
    log_.write(
        write, "notice reached nobody, look at the console",
        {{"kind", message.kind}, {"incident", message.incident.value}, {"notice", message.id}});
}

Status Notifier::on_event(const schemas::IncidentEvent& event, EventTime now, State& state) {
    const auto& incident = event.incident;
    for (const auto& notice : event.notices) {
        if (notice.kind == "resolved") VIGIE_TRY(drop_lost(incident.id, state));
        Message message{.id = notice.id,
                        .kind = notice.kind,
                        .text = cut(notice.text, kTextBytesMax),
                        .incident = incident.id,
                        .title = incident.title,
                        .severity = incident.severity,
                        .state = std::string(schemas::to_string(incident.state)),
                        .owner = incident.owner,
                        .link = options_.link_prefix.empty()
                                    ? std::string{}
                                    : options_.link_prefix + incident.id.value,
                        .at = now,
                        .entities = entities_of(incident)};
        VIGIE_TRY(add(std::move(message), now, state));
    }
    return {};
}

// A page that comes after the "resolved" of its incident would leave the page open.
Status Notifier::drop_lost(const IncidentId& incident, State& state) {
    std::vector<std::string> keys;
    std::optional<Error> broken;
    VIGIE_TRY(state.scan(kRowPrefix, [&](auto key, auto value) {
        const auto row = decode_row(value);
        if (!row) broken = row.error();
        if (row && is_lost(*row) && row->message.incident == incident) keys.emplace_back(key);
        return row.has_value();
    }));
    if (broken) return fail(*broken);
    for (const auto& key : keys) state.erase(key);
    return {};
}

Status Notifier::add(Message message, EventTime now, State& state) {
    Row row{.message = std::move(message), .legs = {}};
    const auto ways = options_.routes ? options_.routes->find(row.message, now) : std::nullopt;
    for (const auto& channel : channels_) {
        EventTime due = now;
        if (ways) {
            const auto way = std::ranges::find(*ways, channel->name(), &Routes::Way::channel);
            if (way == ways->end()) continue;
            due = way->from;
        }
        if (!channel->wants(row.message)) continue;
        row.legs.emplace(channel->name(),
                         Leg{.status = Leg::Status::kPending, .attempts = 0, .due = due});
    }
    if (ways && ways->empty()) {  // A route to nobody is what somebody wanted.
        metrics_.counter(metric::kDropped, {{"kind", row.message.kind}}).add();
        return {};
    }
    if (row.legs.empty()) {
        const auto* fallback = is_urgent(row.message) ? fallback_for(row) : nullptr;
        if (fallback == nullptr) {
            if (is_urgent(row.message)) report_lost(row.message);
            return {};
        }
        row.legs.emplace(fallback->name(),
                         Leg{.status = Leg::Status::kPending, .attempts = 0, .due = now});
    }
    VIGIE_TRY_ASSIGN(const bool room, make_room(row.message, state));
    if (room) state.put(row_key(row.message), encode(row));
    return {};
}

Result<bool> Notifier::make_room(const Message& message, State& state) {
    std::size_t rows = 0;
    VIGIE_TRY(state.scan(kRowPrefix, [&](auto, auto) { return ++rows < options_.rows_max; }));
    if (rows < options_.rows_max) return true;
    if (message.kind == "update") {
        metrics_.counter(metric::kDropped, {{"kind", message.kind}}).add();
        return false;
    }
    std::optional<std::string> oldest;
    std::optional<std::string> oldest_lost;
    std::optional<Error> broken;
    VIGIE_TRY(state.scan(kRowPrefix, [&](auto key, auto value) {
        const auto row = decode_row(value);
        if (!row) broken = row.error();
        if (row && row->message.kind == "update") oldest = std::string(key);
        if (row && is_lost(*row) && !oldest_lost) oldest_lost = std::string(key);
        return row.has_value() && !oldest;
    }));
    if (broken) return fail(*broken);
    if (!oldest && oldest_lost) {  // Counted and logged when it was lost.
        state.erase(*oldest_lost);
        return true;
    }
    if (!oldest) {
        metrics_.counter(metric::kDropped, {{"kind", message.kind}}).add();
        report_lost(message);
        return false;
    }
    metrics_.counter(metric::kDropped, {{"kind", "update"}}).add();
    state.erase(*oldest);
    return true;
}

Status Notifier::on_tick(EventTime now, State& state) {
    VIGIE_TRY(take_in(now, state));
    return choose(now, state);
}

Status Notifier::take_in(EventTime now, State& state) {
    for (const auto& [flight, result] : mailbox_->take()) {
        const auto& [key, name] = flight;
        in_flight_.erase(flight);
        if (!result) continue;
        const auto& sent = *result;
        metrics_
            .counter(metric::kDeliveries,
                     {{"channel", name}, {"result", std::string(result_of(sent.delivery))}})
            .add();
        if (sent.retry_after) closed_until_[name] = now + *sent.retry_after;
        VIGIE_TRY_ASSIGN(const auto bytes, state.get(key));
        if (!bytes) continue;  // Dropped meanwhile, to make room.
        VIGIE_TRY_ASSIGN(auto row, decode_row(*bytes));
        auto& leg = row.legs[name];
        ++leg.attempts;
        const Log::Fields fields{{"channel", name},
                                 {"kind", row.message.kind},
                                 {"incident", row.message.incident.value},
                                 {"attempts", std::to_string(leg.attempts)},
                                 {"reason", sent.reason}};
        if (sent.delivery == Delivery::kDelivered) {
            leg.status = Leg::Status::kDelivered;
        } else if (sent.delivery == Delivery::kRejected) {
            leg.due = now + options_.retry_wait_max;
            if (std::exchange(leg.status, Leg::Status::kFailed) != Leg::Status::kFailed) {
                log_.error("notice rejected, correct the channel's configuration", fields);
            }
        } else if (is_too_old(row.message, now)) {
            leg.status = Leg::Status::kFailed;
            log_.error("notice given up, the channel did not answer for too long", fields);
        } else {
            leg.due = now + std::max<std::chrono::microseconds>(
                                backoff(leg.attempts),
                                sent.retry_after.value_or(std::chrono::milliseconds{0}));
            log_.warn("notice not delivered yet, trying again", fields);
        }
        VIGIE_TRY(settle(std::move(row), state, now));
    }
    return {};
}

// Writes the row back, with another channel when its own fail, or ends it.
Status Notifier::settle(Row row, State& state, EventTime now) {
    const auto key = row_key(row.message);
    const bool delivered = row.has(Leg::Status::kDelivered);
    const bool struggling = std::all_of(row.legs.begin(), row.legs.end(), [&](const auto& entry) {
        return entry.second.status == Leg::Status::kFailed ||
               entry.second.attempts >= options_.fallback_attempts;
    });
    if (!delivered && struggling && is_urgent(row.message)) add_fallback(row, now);
    if (row.has(Leg::Status::kPending)) {
        state.put(key, encode(row));
        return {};
    }
    if (!delivered && !row.lost) {
        row.lost = true;
        report_lost(row.message);
    }
    if (is_retried(row) && !is_too_old(row.message, now)) {
        state.put(key, encode(row));
    } else {
        state.erase(key);
    }
    return {};
}

// False when no channel is left.
bool Notifier::add_fallback(Row& row, EventTime now) {
    const auto* fallback = fallback_for(row);
    if (fallback == nullptr) return false;
    row.legs.emplace(fallback->name(),
                     Leg{.status = Leg::Status::kPending, .attempts = 0, .due = now});
    metrics_.counter(metric::kFallbacks, {{"channel", std::string(fallback->name())}}).add();
    log_.warn("notice goes to another channel, its own failed",
              {{"channel", std::string(fallback->name())},
               {"kind", row.message.kind},
               {"incident", row.message.incident.value}});
    return true;
}

bool Notifier::is_too_old(const Message& message, EventTime now) const {
    return now - message.at > options_.give_up_after;
}

const Channel* Notifier::fallback_for(const Row& row) const {
    for (const auto& channel : channels_) {
        if (!row.legs.contains(std::string(channel->name())) && channel->can_carry(row.message)) {
            return channel.get();
        }
    }
    return nullptr;
}

Status Notifier::choose(EventTime now, State& state) {
    std::size_t rows = 0;
    std::optional<Error> broken;
    Ahead ahead;
    std::vector<Row> ending;
    std::vector<Row> stuck;
    VIGIE_TRY(state.scan(kRowPrefix, [&](auto key, auto value) {
        ++rows;
        auto row = decode_row(value);
        if (!row) {
            broken = row.error();
            return false;
        }
        bool is_orphaned = false;
        for (auto& [name, leg] : row->legs) {
            if (leg.status != Leg::Status::kPending || find(name) != nullptr) continue;
            leg.status = Leg::Status::kFailed;  // A channel that is configured no more.
            is_orphaned = true;
        }
        const bool is_over = !row->has(Leg::Status::kPending) && is_too_old(row->message, now);
        const bool is_stuck = choose_legs(std::string(key), *row, now, ahead);
        if (is_orphaned || is_over) {
            ending.push_back(*std::move(row));
        } else if (is_stuck && fallback_for(*row) != nullptr) {
            stuck.push_back(*std::move(row));
        }
        return true;
    }));
    if (broken) return fail(*broken);
    metrics_.gauge(metric::kPending).set(static_cast<double>(rows));
    for (auto& row : ending) VIGIE_TRY(settle(std::move(row), state, now));
    for (auto& row : stuck) {
        if (add_fallback(row, now)) state.put(row_key(row.message), encode(row));
    }
    return {};
}

// Chooses the legs of a row that are due. True when it is urgent and nothing that it waits for
// will come soon: another channel must be tried.
bool Notifier::choose_legs(const std::string& key, const Row& row, EventTime now, Ahead& ahead) {
    bool is_stuck = is_retried(row);
    for (const auto& [name, leg] : row.legs) {
        const bool is_failed = leg.status == Leg::Status::kFailed;
        if (leg.status == Leg::Status::kDelivered || (is_failed && !is_retried(row))) continue;
        const auto channel = find(name);
        if (channel == nullptr) continue;
        const auto closed = closed_until_.find(name);
        const auto opens = closed == closed_until_.end() ? now : std::max(closed->second, now);
        bool is_struggling =
            is_failed || leg.attempts >= options_.fallback_attempts || opens - now > kPauseMax;
        // In order: a "resolved" that overtakes its page would leave the page open. What was
        // rejected holds nothing up.
        if (!is_failed) {
            const auto [head, is_first] =
                ahead.try_emplace({row.message.incident.value, name}, is_struggling);
            if (!is_first) {
                is_stuck = is_stuck && (head->second || is_struggling);
                continue;
            }
        }
        is_stuck = is_stuck && is_struggling;
        if (leg.due > now || opens > now) continue;
        // What was rejected leaves room for what was not.
        const auto flights_max =
            is_failed ? (options_.in_flight_max + 1) / 2 : options_.in_flight_max;
        if (in_flight_.size() >= flights_max) continue;
        if (!in_flight_.emplace(key, name).second) continue;
        work_.push_back({.row_key = key, .channel = channel, .message = row.message});
    }
    return is_stuck;
}

void Notifier::on_committed() {
    for (auto& work : std::exchange(work_, {})) {
        // Reports also when the pool drops the work, so that it is chosen again.
        struct Ticket {
            ~Ticket() { mailbox->put({.flight = flight, .sent = std::move(sent)}); }
            std::shared_ptr<Mailbox> mailbox;
            Flight flight;
            std::optional<Sent> sent;
        };
        const Flight flight{work.row_key, std::string(work.channel->name())};
        auto ticket = std::make_shared<Ticket>();
        ticket->mailbox = mailbox_;
        ticket->flight = flight;
        const auto status = submit_(
            [ticket, channel = std::move(work.channel), message = std::move(work.message)](
                const std::stop_token& stop) { ticket->sent = channel->send(message, stop); });
        if (!status) metrics_.counter(metric::kPoolFull).add();
    }
}

std::chrono::microseconds Notifier::backoff(int attempts) {
    constexpr int kDoublingsMax = 20;
    const auto doublings = std::clamp(attempts - 1, 0, kDoublingsMax);
    const auto wait = std::min<std::chrono::microseconds>(
        options_.retry_wait_min * (std::int64_t{1} << doublings), options_.retry_wait_max);
    // Between half and all of it, so that many senders do not come back together.
    return std::chrono::duration_cast<std::chrono::microseconds>(wait * (0.5 + rng_.uniform() / 2));
}

}  // namespace vigie::notify
