#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "ingest/receivers.h"
#include "schemas/telemetry.h"
#include "schemas/topics.h"

namespace vigie::ingest {

namespace topics = schemas::topics;

namespace {

constexpr std::string_view kSource = "remote_write";

// Prometheus sends "application/x-protobuf" alone for 1.0 and names the message for 2.0.
std::optional<Refusal> refusal_of_encoding(const http::Request& request) {
    const std::string_view type = request.header("content-type");
    if (media_type(type) != "application/x-protobuf") {
        return Refusal{415, "encoding",
                       fmt::format("content type '{}' is not application/x-protobuf", type)};
    }
    if (type.find("proto=") != std::string_view::npos &&
        type.find("proto=prometheus.WriteRequest") == std::string_view::npos) {
        return Refusal{415, "encoding",
                       "only remote write 1.0 is understood: set protobuf_message to "
                       "prometheus.WriteRequest"};
    }
    if (media_type(request.header("content-encoding")) != "snappy") {
        return Refusal{
            415, "encoding",
            fmt::format("content encoding '{}' is not snappy", request.header("content-encoding"))};
    }
    return std::nullopt;
}

void receive(const std::shared_ptr<Intake>& intake, http::Request request, http::Respond respond) {
    auto arrival = intake->arrive(kSource, std::move(request), std::move(respond),
                                  [](int status, std::string_view reason) {
                                      return http::Response::text(status, std::string(reason));
                                  });
    if (!arrival) return;
    if (const auto refusal = refusal_of_encoding(arrival->request)) {
        intake->refuse(*arrival, *refusal);
        return;
    }
    const auto decoded = schemas::decode_metrics(
        arrival->request.body, schemas::kContentRemoteWrite, "snappy", intake->options().decode);
    if (!decoded) {
        intake->refuse(*arrival, {400, "body", decoded.error().message});
        return;
    }
    std::size_t points = 0;
    EventTime newest{EventClock::duration::min()};
    for (const auto& series : *decoded) {
        points += series.points.size();
        for (const auto& point : series.points) newest = std::max(newest, point.at);
    }
    std::vector<streams::Message> messages;
    if (points > 0) {  // A request may carry metadata only.
        streams::Message message;
        message.topic = topics::kMetrics;
        message.key = peer_address(arrival->request.remote);
        message.event_time = intake->stamp(kSource, newest);
        message.headers = {
            {std::string(topics::kHeaderContentType), std::string(schemas::kContentRemoteWrite)},
            {std::string(topics::kHeaderContentEncoding), "snappy"}};
        message.value = std::move(arrival->request.body);
        messages.push_back(std::move(message));
    }
    intake->append(*std::move(arrival), std::move(messages), points, {204, {}, ""});
}

}  // namespace

void Receivers::add_remote_write(http::Router& router) const {
    router.add("POST", "/api/v1/write",
               [intake = intake_](http::Request request, http::Respond respond) {
                   receive(intake, std::move(request), std::move(respond));
               });
}

}  // namespace vigie::ingest
