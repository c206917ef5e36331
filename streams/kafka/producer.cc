#include "streams/kafka/producer.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace vigie::streams::kafka {

namespace {

// Non-null also when empty: null would be a missing key, or a tombstone.
void* bytes_at(const std::string& text) {
    return const_cast<char*>(text.data());  // NOLINT(cppcoreguidelines-pro-type-const-cast): C API.
}

Owned<rd_kafka_headers_t> headers_of(const Headers& headers) {
    Owned<rd_kafka_headers_t> made(rd_kafka_headers_new(headers.size()));
    for (const auto& [name, value] : headers) {
        rd_kafka_header_add(made.get(), name.data(), static_cast<ssize_t>(name.size()),
                            value.data(), static_cast<ssize_t>(value.size()));
    }
    return made;
}

}  // namespace

Producer::Producer(const Cluster& cluster, std::string watched_topic)
    : cluster_(cluster), watched_topic_(std::move(watched_topic)), hooks_(cluster.log) {
    hooks_.on_delivery = [this](const rd_kafka_message_t& message) { on_delivery(message); };
}

void Producer::on_delivery(const rd_kafka_message_t& message) {
    const char* const topic = rd_kafka_topic_name(message.rkt);
    if (message.err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (topic == watched_topic_) {
            watched_end_ = std::max(watched_end_.value_or(0), message.offset + 1);
        }
        return;
    }
    // Purged: by an abort, which has its own cause.
    if (refused_ || message.err == RD_KAFKA_RESP_ERR__PURGE_QUEUE ||
        message.err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT) {
        return;
    }
    refused_ = error_of(message.err, fmt::format("write to {}", topic));
}

Producer::~Producer() {
    rd_kafka_purge(handle_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                      RD_KAFKA_PURGE_F_NON_BLOCKING);
}

Result<std::unique_ptr<Producer>> Producer::open(const Cluster& cluster,
                                                 const std::string& transactional_id,
                                                 std::string watched_topic) {
    std::unique_ptr<Producer> producer(new Producer(cluster, std::move(watched_topic)));
    VIGIE_TRY_ASSIGN(producer->handle_, cluster.open_producer(transactional_id, producer->hooks_));
    VIGIE_TRY(producer->init());
    return producer;
}

Status Producer::init() {
    const SteadyTime until = cluster_.deadline();
    // Only waits for a connection: without one, init_transactions would look again after 500 ms.
    const rd_kafka_metadata_t* metadata = nullptr;
    rd_kafka_metadata(handle_.get(), 0, nullptr, &metadata, cluster_.slice_ms(until));
    const Owned<const rd_kafka_metadata_t> unused(metadata);
    while (true) {
        const ErrorObject error(
            rd_kafka_init_transactions(handle_.get(), cluster_.slice_ms(until)));
        if (!error) return {};
        if (rd_kafka_error_is_retriable(error.get()) != 0 && !cluster_.over(until)) continue;
        return fail(error_of(rd_kafka_error_code(error.get()), "begin transactions"));
    }
}

Status Producer::run(const std::vector<Outgoing>& records, std::optional<Offsets> offsets) {
    refused_.reset();
    watched_end_.reset();
    const SteadyTime until = cluster_.deadline();
    const ErrorObject begun(rd_kafka_begin_transaction(handle_.get()));
    if (begun) {
        usable_ = false;
        return fail(error_of(rd_kafka_error_code(begun.get()), "begin a transaction"));
    }
    for (const Outgoing& record : records) {
        if (auto status = produce(record, until); !status) return abort(status.error());
    }
    if (offsets) {
        if (auto status = send(*offsets, until); !status) return abort(status.error());
    }
    return commit(until);
}

Status Producer::produce(const Outgoing& record, SteadyTime until) {
    auto headers = headers_of(record.headers);
    const std::array arguments{
        rd_kafka_vu_t{.vtype = RD_KAFKA_VTYPE_TOPIC, .u = {.cstr = record.topic.c_str()}},
        rd_kafka_vu_t{.vtype = RD_KAFKA_VTYPE_PARTITION, .u = {.i32 = record.partition}},
        rd_kafka_vu_t{.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u = {.i = RD_KAFKA_MSG_F_COPY}},
        rd_kafka_vu_t{.vtype = RD_KAFKA_VTYPE_KEY,
                      .u = {.mem = {bytes_at(record.key), record.key.size()}}},
        rd_kafka_vu_t{.vtype = RD_KAFKA_VTYPE_VALUE,
                      .u = {.mem = {record.value ? bytes_at(*record.value) : nullptr,
                                    record.value ? record.value->size() : 0}}},
        rd_kafka_vu_t{.vtype = RD_KAFKA_VTYPE_HEADERS, .u = {.headers = headers.get()}},
    };
    while (true) {
        const ErrorObject error(
            rd_kafka_produceva(handle_.get(), arguments.data(), arguments.size()));
        if (!error) {
            static_cast<void>(headers.release());  // Belongs to the message now.
            return {};
        }
        const auto code = rd_kafka_error_code(error.get());
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL || cluster_.over(until)) {
            return fail(error_of(code, fmt::format("write to {}", record.topic)));
        }
        rd_kafka_poll(handle_.get(), cluster_.slice_ms(until));
    }
}

Status Producer::send(const Offsets& offsets, SteadyTime until) {
    while (true) {
        const ErrorObject error(rd_kafka_send_offsets_to_transaction(
            handle_.get(), offsets.positions, offsets.member, cluster_.slice_ms(until)));
        if (!error) return {};
        if (rd_kafka_error_is_retriable(error.get()) != 0 && !cluster_.over(until)) continue;
        return fail(error_of(rd_kafka_error_code(error.get()), "commit the group's position"));
    }
}

Status Producer::commit(SteadyTime until) {
    while (true) {
        const ErrorObject error(
            rd_kafka_commit_transaction(handle_.get(), cluster_.slice_ms(until)));
        if (!error) return {};
        const Error cause = error_of(rd_kafka_error_code(error.get()), "commit a transaction");
        if (rd_kafka_error_txn_requires_abort(error.get()) != 0) return abort(cause);
        if (rd_kafka_error_is_retriable(error.get()) != 0 && !cluster_.over(until)) continue;
        // Also when fenced: an earlier attempt whose answer was lost may have committed it.
        usable_ = false;
        return fail(ErrorKind::kUnavailable, cause.message);
    }
}

Status Producer::abort(Error cause) {
    const SteadyTime until = cluster_.deadline();
    while (true) {
        const ErrorObject error(
            rd_kafka_abort_transaction(handle_.get(), cluster_.slice_ms(until)));
        if (!error) break;
        if (rd_kafka_error_is_retriable(error.get()) != 0 && !cluster_.over(until)) continue;
        // The brokers abort it when transaction.timeout.ms is over: it is never written.
        usable_ = false;
        break;
    }
    // Its sequence numbers have a gap now, which brokers refuse: a new one begins at zero.
    if (refused_) usable_ = false;
    const bool fenced = cause.kind == ErrorKind::kConflict;
    return fail(refused_ && !fenced ? *std::exchange(refused_, std::nullopt) : std::move(cause));
}

}  // namespace vigie::streams::kafka
