#include "streams/kafka/appender.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "streams/checks.h"
#include "streams/kafka/metrics.h"

namespace vigie::streams::kafka {

namespace {

constexpr std::size_t kTransactionBytesMax = std::size_t{16} << 20U;

// One record is to blame, and it would be refused again.
bool is_refusal(ErrorKind kind) {
    return kind == ErrorKind::kInvalid || kind == ErrorKind::kNotFound ||
           kind == ErrorKind::kRefused;
}

}  // namespace

Appender::Appender(const Cluster& cluster)
    : cluster_(cluster),
      slot_(cluster.take_slot("append")),
      records_(cluster.metrics.counter(metrics::kRecords)),
      queue_full_(cluster.metrics.counter(metrics::kRefused, {{"reason", "queue_full"}})),
      queue_records_gauge_(cluster.metrics.gauge(metrics::kQueueRecords)),
      transaction_seconds_(
          cluster.metrics.histogram(metrics::kTransactionSeconds, {{"of", "append"}})),
      thread_("kafka-append", [this](const std::stop_token& stop) { run(stop); }) {}

Appender::~Appender() = default;

Result<std::vector<Outgoing>> Appender::prepare(std::vector<Message> messages) const {
    std::vector<Outgoing> records;
    for (Message& message : messages) {
        VIGIE_TRY_ASSIGN(const std::int32_t count, cluster_.partition_count(message.topic));
        VIGIE_TRY(check_size(message, cluster_.options.record_bytes_max));
        const std::int32_t partition = partition_of(message.key, count);
        std::string topic = cluster_.full_name(message.topic);
        records.push_back(outgoing_of(std::move(message), std::move(topic), partition));
    }
    return records;
}

void Appender::append(std::vector<Message> messages, Bus::AppendDone done) {
    Request request;
    for (const Message& message : messages) request.bytes += bytes_of(message);
    auto records = prepare(std::move(messages));
    if (!records || records->empty()) {
        done(records ? Status{} : fail(records.error()));
        return;
    }
    request.records = *std::move(records);
    request.done = std::move(done);
    {
        const std::scoped_lock lock(mutex_);
        const bool full =
            queue_records_ + request.records.size() > cluster_.options.append_queue_max ||
            queue_bytes_ + request.bytes > cluster_.options.append_queue_bytes_max;
        // Alone it is taken at any size: refused for ever it would be lost.
        if (!full || queue_.empty()) {
            queue_records_ += request.records.size();
            queue_bytes_ += request.bytes;
            queue_records_gauge_.set(static_cast<double>(queue_records_));
            queue_.push_back(std::move(request));
            waiting_.notify_one();
            return;
        }
    }
    queue_full_.add();
    request.done(
        fail(ErrorKind::kOverloaded, fmt::format("{} records wait for Kafka: try again later",
                                                 cluster_.options.append_queue_max)));
}

void Appender::run(const std::stop_token& stop) {
    while (true) {
        auto requests = take(stop);
        if (requests.empty()) return;
        commit(std::move(requests));
    }
}

std::vector<Appender::Request> Appender::take(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    waiting_.wait(lock, stop, [this] { return !queue_.empty(); });
    std::vector<Request> taken;
    std::size_t bytes = 0;
    while (!queue_.empty() && (taken.empty() || bytes < kTransactionBytesMax)) {
        Request& next = queue_.front();
        bytes += next.bytes;
        queue_bytes_ -= next.bytes;
        queue_records_ -= next.records.size();
        taken.push_back(std::move(next));
        queue_.pop_front();
    }
    queue_records_gauge_.set(static_cast<double>(queue_records_));
    return taken;
}

void Appender::commit(std::vector<Request> requests) {
    std::vector<Outgoing> all;
    std::vector<std::size_t> sizes;
    for (Request& request : requests) {
        sizes.push_back(request.records.size());
        std::move(request.records.begin(), request.records.end(), std::back_inserter(all));
    }
    const Status status = write(all);
    if (status || requests.size() == 1 || !is_refusal(status.error().kind)) {
        for (Request& request : requests) request.done(status);
        return;
    }
    // Nothing was written. Alone, each gets the answer that is its own, until nobody answers any
    // more: then all that are left get that.
    auto next = all.begin();
    Status alone;
    for (std::size_t i = 0; i < requests.size(); ++i) {
        const auto end = next + static_cast<std::ptrdiff_t>(sizes[i]);
        if (alone || alone.error().kind != ErrorKind::kUnavailable) {
            alone = write({std::make_move_iterator(next), std::make_move_iterator(end)});
        }
        requests[i].done(alone);
        next = end;
    }
}

Status Appender::write(const std::vector<Outgoing>& records) {
    const SteadyTime start = cluster_.clock.steady();
    Status status;
    if (!producer_) {
        auto opened = Producer::open(cluster_, slot_.transactional_id());
        if (opened)
            producer_ = *std::move(opened);
        else
            status = fail(opened.error());
    }
    if (producer_) {
        status = producer_->run(records, std::nullopt);
        if (!producer_->usable()) producer_.reset();
    }
    transaction_seconds_.observe(
        std::chrono::duration<double>(cluster_.clock.steady() - start).count());
    if (status) {
        records_.add(records.size());
        return status;
    }
    cluster_.metrics
        .counter(metrics::kTransactionsFailed,
                 {{"of", "append"}, {"kind", std::string(to_string(status.error().kind))}})
        .add();
    // A fence without a group is another process with our instance name: nothing that the
    // sender can decide.
    if (status.error().kind != ErrorKind::kConflict) return status;
    return fail(ErrorKind::kUnavailable, status.error().message);
}

}  // namespace vigie::streams::kafka
