#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include <librdkafka/rdkafka.h>

#include "core/log.h"
#include "core/result.h"

// Owners of librdkafka's C objects, and its errors in our words.
namespace vigie::streams::kafka {

// What an error of librdkafka or of a broker lets the caller do. kInvalid: too large, or a bad
// argument. kNotFound: no such topic or partition. kRefused: authentication, TLS or authorisation.
// kConflict: the member or producer was fenced. kOverloaded: a local queue is full. kCorrupt: a
// record's check failed. Everything else may pass: kUnavailable.
ErrorKind kind_of(rd_kafka_resp_err_t code);
Error error_of(rd_kafka_resp_err_t code, std::string_view doing);

struct Destroy {
    void operator()(rd_kafka_t* handle) const;  // Does not say goodbye to the group.
    void operator()(rd_kafka_error_t* error) const { rd_kafka_error_destroy(error); }
    void operator()(rd_kafka_message_t* message) const { rd_kafka_message_destroy(message); }
    void operator()(rd_kafka_queue_t* queue) const { rd_kafka_queue_destroy(queue); }
    void operator()(rd_kafka_event_t* event) const { rd_kafka_event_destroy(event); }
    void operator()(rd_kafka_headers_t* headers) const { rd_kafka_headers_destroy(headers); }
    void operator()(rd_kafka_topic_t* topic) const { rd_kafka_topic_destroy(topic); }
    void operator()(rd_kafka_conf_t* conf) const { rd_kafka_conf_destroy(conf); }
    void operator()(rd_kafka_topic_partition_list_t* list) const {
        rd_kafka_topic_partition_list_destroy(list);
    }
    void operator()(rd_kafka_consumer_group_metadata_t* metadata) const {
        rd_kafka_consumer_group_metadata_destroy(metadata);
    }
    void operator()(const rd_kafka_metadata_t* metadata) const {
        rd_kafka_metadata_destroy(metadata);
    }
    void operator()(rd_kafka_AdminOptions_t* options) const {
        rd_kafka_AdminOptions_destroy(options);
    }
    void operator()(rd_kafka_NewTopic_t* topic) const { rd_kafka_NewTopic_destroy(topic); }
    void operator()(rd_kafka_ConfigResource_t* resource) const {
        rd_kafka_ConfigResource_destroy(resource);
    }
    void operator()(const rd_kafka_group_list* list) const { rd_kafka_group_list_destroy(list); }
};
template <class T>
using Owned = std::unique_ptr<T, Destroy>;

using Handle = Owned<rd_kafka_t>;
using ErrorObject = Owned<rd_kafka_error_t>;
using PartitionList = Owned<rd_kafka_topic_partition_list_t>;

PartitionList make_list();

// librdkafka's properties under their own names.
using Properties = std::map<std::string, std::string, std::less<>>;

// What librdkafka calls. Must outlive the handle.
struct Hooks {
    explicit Hooks(Log& where) : log(where) {}

    Log& log;
    // On the thread that polls.
    std::function<void(rd_kafka_resp_err_t, rd_kafka_topic_partition_list_t*)> on_rebalance;
    std::function<void(const rd_kafka_message_t&)> on_delivery;
    std::function<void(rd_kafka_resp_err_t, std::string_view reason)> on_error;
};

// kInvalid, with librdkafka's own words, for a property that it does not know or does not take.
Status check_properties(const Properties& properties);

// Opens a producer or a consumer. `ours` win over `theirs`. kInvalid as check_properties(), and
// for properties that do not go together.
Result<Handle> open_handle(rd_kafka_type_t type, const Properties& theirs, const Properties& ours,
                           Hooks& hooks);

}  // namespace vigie::streams::kafka
