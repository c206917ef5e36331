#include "console/alert_view.h"

#include <chrono>
#include <string>
#include <utility>

#include "console/metrics.h"
#include "schemas/topics.h"

namespace vigie::console {

namespace topics = schemas::topics;

namespace {

constexpr std::size_t kRecordsPerRead = 1000;
constexpr std::chrono::seconds kForgetInterval{30};

}  // namespace

AlertView::AlertView(Options options, const streams::Bus& bus, const Clock& clock,
                     MetricsRegistry& metrics, Log& log)
    : options_(options),
      clock_(clock),
      metrics_(metrics),
      log_(log),
      follower_({{std::string(topics::kAlerts), options.alert_records_max},
                 {std::string(topics::kDecisions), options.decision_records_max}},
                bus, metrics),
      book_(options.book) {}

Status AlertView::ask(Question question) {
    {
        const std::scoped_lock lock(mutex_);
        if (questions_.size() >= options_.questions_max) {
            return fail(ErrorKind::kOverloaded, "too many requests wait for an answer");
        }
        questions_.push_back(std::move(question));
    }
    asked_.notify_one();
    return {};
}

std::deque<AlertView::Question> AlertView::wait_for_questions(std::chrono::milliseconds wait_max) {
    std::unique_lock lock(mutex_);
    asked_.wait_for(lock, wait_max, [this] { return !questions_.empty(); });
    return std::exchange(questions_, {});
}

Status AlertView::step(std::chrono::milliseconds wait_max) {
    const auto questions = wait_for_questions(wait_max);
    const auto read =
        follower_.read_to_end(kRecordsPerRead, [this](const auto& record) { apply(record); });
    const EventTime now = to_event_time(clock_.wall());
    if (now >= forget_at_) {
        book_.forget(now);
        forget_at_ = now + kForgetInterval;
    }
    metrics_.gauge(metrics::kAlerts).set(static_cast<double>(book_.alerts().size()));
    metrics_.counter(metrics::kAlertsRefused).add(book_.alerts_refused() - refused_);
    refused_ = book_.alerts_refused();
    for (const auto& question : questions) {
        question(read ? Result<const AlertBook*>(&book_) : fail(read.error()), now);
    }
    return read;
}

void AlertView::apply(const streams::Record& record) {
    auto event = schemas::decode(record.message.value);
    if (event) {
        book_.apply(*event, to_event_time(clock_.wall()));
        return;
    }
    metrics_.counter(metrics::kUnreadable, {{"topic", record.partition.topic}}).add();
    log_.warn("record not shown among the alerts",
              {{"partition", streams::to_string(record.partition)},
               {"offset", std::to_string(record.offset)},
               {"error", event.error().message}});
}

}  // namespace vigie::console
