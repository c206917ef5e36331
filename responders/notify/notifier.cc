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
                        .at = now};
        VIGIE_TRY(add(std::move(message), now, state));
    }
    return {};
}

Status Notifier::add(Message message, EventTime now, State& state) {
    Row row{.message = std::move(message), .legs = {}};
    for (const auto& channel : channels_) {
        if (!channel->wants(row.message)) continue;
        row.legs.emplace(channel->name(),
                         Leg{.status = Leg::Status::kPending, .attempts = 0, .due = now});
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
    std::optional<Error> broken;
    VIGIE_TRY(state.scan(kRowPrefix, [&](auto key, auto value) {
        const auto row = decode_row(value);
        if (!row) broken = row.error();
        if (row && row->message.kind == "update") oldest = std::string(key);
        return row.has_value() && !oldest;
    }));
    if (broken) return fail(*broken);
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
            leg.status = Leg::Status::kFailed;
            log_.error("notice rejected, correct the channel's configuration", fields);
        } else if (now - row.message.at > options_.give_up_after) {
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
    if (!delivered && struggling && is_urgent(row.message)) {
        if (const auto* fallback = fallback_for(row); fallback != nullptr) {
            row.legs.emplace(fallback->name(),
                             Leg{.status = Leg::Status::kPending, .attempts = 0, .due = now});
            metrics_.counter(metric::kFallbacks, {{"channel", std::string(fallback->name())}})
                .add();
            log_.warn("notice goes to another channel, its own failed",
                      {{"channel", std::string(fallback->name())},
                       {"kind", row.message.kind},
                       {"incident", row.message.incident.value}});
        }
    }
    if (row.has(Leg::Status::kPending)) {
        state.put(key, encode(row));
        return {};
    }
    state.erase(key);
    if (!delivered) report_lost(row.message);
    return {};
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
    std::set<Flight> busy;  // Incident and channel that have an earlier notice pending.
    std::vector<Row> orphaned;
    VIGIE_TRY(state.scan(kRowPrefix, [&](auto key, auto value) {
        ++rows;
        auto row = decode_row(value);
        if (!row) {
            broken = row.error();
            return false;
        }
        for (const auto& [name, leg] : row->legs) {
            if (leg.status != Leg::Status::kPending) continue;
            auto channel = find(name);
            if (channel == nullptr) {
                orphaned.push_back(*row);
                break;
            }
            // In order: a "resolved" that overtakes its page would leave the page open.
            if (!busy.emplace(row->message.incident.value, name).second) continue;
            const auto closed = closed_until_.find(name);
            if (leg.due > now || (closed != closed_until_.end() && closed->second > now)) continue;
            if (in_flight_.size() >= options_.in_flight_max) continue;
            if (!in_flight_.emplace(std::string(key), name).second) continue;
            work_.push_back({.row_key = std::string(key),
                             .channel = std::move(channel),
                             .message = row->message});
        }
        return true;
    }));
    if (broken) return fail(*broken);
    metrics_.gauge(metric::kPending).set(static_cast<double>(rows));
    // A channel that is configured no more.
    for (auto& row : orphaned) {
        for (auto& [name, leg] : row.legs) {
            if (find(name) == nullptr && leg.status == Leg::Status::kPending) {
                leg.status = Leg::Status::kFailed;
            }
        }
        VIGIE_TRY(settle(std::move(row), state, now));
    }
    return {};
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
