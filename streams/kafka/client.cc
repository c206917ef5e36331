#include "streams/kafka/client.h"

#include <array>

#include <fmt/format.h>

namespace vigie::streams::kafka {

namespace {

// Syslog's levels, as librdkafka uses them.
constexpr int kSyslogWarning = 4;

Hooks& hooks_of(void* opaque) {
    return *static_cast<Hooks*>(opaque);
}

void log_line(const rd_kafka_t* handle, int level, const char* facility, const char* text) {
    const Log::Fields fields{{"facility", facility}, {"text", text}};
    Log& log = hooks_of(rd_kafka_opaque(handle)).log;
    // "CONFWARN": a consumer's property on a producer, for instance; the site has one map for all.
    if (level <= kSyslogWarning && std::string_view(facility) != "CONFWARN") {
        log.warn("kafka client", fields);
    } else {
        log.debug("kafka client", fields);
    }
}

void on_error(rd_kafka_t* handle, int code, const char* reason, void* opaque) {
    Hooks& hooks = hooks_of(opaque);
    std::array<char, 512> text{};
    auto cause = static_cast<rd_kafka_resp_err_t>(code);
    if (cause == RD_KAFKA_RESP_ERR__FATAL) {
        cause = rd_kafka_fatal_error(handle, text.data(), text.size());
        reason = text.data();
    }
    hooks.log.warn("kafka error", {{"code", rd_kafka_err2name(cause)}, {"reason", reason}});
    hooks.on_error(cause, reason);
}

void on_delivery(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
    Hooks& hooks = hooks_of(opaque);
    if (hooks.on_delivery) hooks.on_delivery(*message);
}

void on_rebalance(rd_kafka_t*, rd_kafka_resp_err_t code,
                  rd_kafka_topic_partition_list_t* partitions, void* opaque) {
    hooks_of(opaque).on_rebalance(code, partitions);
}

Status set(rd_kafka_conf_t& conf, const std::string& name, const std::string& value) {
    std::array<char, 512> reason{};
    const auto result =
        rd_kafka_conf_set(&conf, name.c_str(), value.c_str(), reason.data(), reason.size());
    if (result == RD_KAFKA_CONF_OK) return {};
    return fail(ErrorKind::kInvalid, fmt::format("kafka property {}: {}", name, reason.data()));
}

}  // namespace

void Destroy::operator()(rd_kafka_t* handle) const {
    rd_kafka_destroy_flags(handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

ErrorKind kind_of(rd_kafka_resp_err_t code) {
    switch (code) {
        case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
        case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
        case RD_KAFKA_RESP_ERR_INVALID_RECORD:
        case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
        case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
        case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
        case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
        case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
        case RD_KAFKA_RESP_ERR_INVALID_REQUEST:
        case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
        case RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT:
        case RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT:
        case RD_KAFKA_RESP_ERR__INVALID_ARG: return ErrorKind::kInvalid;
        case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
        case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION: return ErrorKind::kNotFound;
        case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
        case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
        case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
        case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
        case RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM:
        case RD_KAFKA_RESP_ERR__AUTHENTICATION: return ErrorKind::kRefused;
        case RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION:
        case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID:
        case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
        case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
        case RD_KAFKA_RESP_ERR_PRODUCER_FENCED:
        case RD_KAFKA_RESP_ERR__FENCED: return ErrorKind::kConflict;
        case RD_KAFKA_RESP_ERR__QUEUE_FULL: return ErrorKind::kOverloaded;
        case RD_KAFKA_RESP_ERR__BAD_MSG: return ErrorKind::kCorrupt;
        default: return ErrorKind::kUnavailable;
    }
}

Error error_of(rd_kafka_resp_err_t code, std::string_view doing) {
    return {kind_of(code),
            fmt::format("{}: {} ({})", doing, rd_kafka_err2str(code), rd_kafka_err2name(code))};
}

PartitionList make_list() {
    return PartitionList(rd_kafka_topic_partition_list_new(1));
}

Status check_properties(const Properties& properties) {
    const Owned<rd_kafka_conf_t> conf(rd_kafka_conf_new());
    for (const auto& [name, value] : properties) VIGIE_TRY(set(*conf, name, value));
    return {};
}

Result<Handle> open_handle(rd_kafka_type_t type, const Properties& theirs, const Properties& ours,
                           Hooks& hooks) {
    Owned<rd_kafka_conf_t> conf(rd_kafka_conf_new());
    for (const auto& [name, value] : theirs) VIGIE_TRY(set(*conf, name, value));
    for (const auto& [name, value] : ours) VIGIE_TRY(set(*conf, name, value));
    rd_kafka_conf_set_opaque(conf.get(), &hooks);
    rd_kafka_conf_set_log_cb(conf.get(), log_line);
    // Otherwise most are logged at once; these wait for whoever polls.
    if (hooks.on_error) rd_kafka_conf_set_error_cb(conf.get(), on_error);
    // Tokens are made and renewed although nobody polls the handle's main queue.
    rd_kafka_conf_enable_sasl_queue(conf.get(), 1);
    if (type == RD_KAFKA_PRODUCER) rd_kafka_conf_set_dr_msg_cb(conf.get(), on_delivery);
    if (hooks.on_rebalance) rd_kafka_conf_set_rebalance_cb(conf.get(), on_rebalance);
    std::array<char, 512> reason{};
    Handle handle(rd_kafka_new(type, conf.get(), reason.data(), reason.size()));
    if (!handle) return fail(ErrorKind::kInvalid, fmt::format("kafka: {}", reason.data()));
    static_cast<void>(conf.release());  // Belongs to the handle now.
    // An error says that the mechanism has no tokens.
    const ErrorObject no_sasl(rd_kafka_sasl_background_callbacks_enable(handle.get()));
    return handle;
}

}  // namespace vigie::streams::kafka
