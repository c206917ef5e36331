#include "ingest/kubernetes_watch.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "http/client.h"
#include "ingest/kubernetes_event.h"
#include "ingest/metrics.h"
#include "streams/runtime.h"

namespace vigie::ingest {

namespace {

constexpr std::string_view kSource = "kubernetes";
constexpr std::size_t kLineBytesMax = 2 * 1024 * 1024;
constexpr int kPageItems = 500;
constexpr int kPagesMax = 200;

}  // namespace

struct KubernetesWatch::Watching {
    std::string line;
    Result<Ended> ended = Ended::kUsual;
};

std::string KubernetesWatch::url(std::string_view query) const {
    const auto path = options_.name_space.empty()
                          ? std::string("/api/v1/events")
                          : fmt::format("/api/v1/namespaces/{}/events",
                                        http::percent_encode(options_.name_space));
    return fmt::format("{}{}?{}", options_.server_url, path, query);
}

Result<std::string> KubernetesWatch::authorization() const {
    if (options_.token_file.empty()) return options_.token;
    std::ifstream file(options_.token_file, std::ios::binary);
    if (!file) {
        return fail(ErrorKind::kUnavailable,
                    fmt::format("cannot read token file '{}'", options_.token_file));
    }
    std::string token{std::istreambuf_iterator<char>(file), {}};
    while (token.ends_with('\n') || token.ends_with('\r')) token.pop_back();
    return token;
}

void KubernetesWatch::run(const std::stop_token& stop) {
    auto wait = options_.wait_min;
    while (!stop.stop_requested()) {
        Status done;
        if (version_.empty()) done = list(stop);
        if (done) {
            const auto ended = watch(stop);
            if (!ended) {
                done = fail(ended.error());
            } else if (*ended == Ended::kGone) {
                version_.clear();
            }
        }
        if (stop.stop_requested()) return;
        if (done) {
            wait = options_.wait_min;
            continue;
        }
        log_.warn("kubernetes cannot be watched", {{"reason", done.error().message}});
        intake_->count(metrics::kWatchFailures, kSource);
        streams::wait_for(wait, stop);
        wait = std::min(2 * wait, options_.wait_max);
    }
}

namespace {

Status status_of(const http::Response& answer) {
    if (answer.status == 200) return {};
    return fail(
        answer.status == 401 || answer.status == 403 ? ErrorKind::kRefused
                                                     : ErrorKind::kUnavailable,
        fmt::format("the API server answers {}: {}", answer.status, status_message(answer.body)));
}

}  // namespace

Status KubernetesWatch::list(const std::stop_token& stop) {
    std::string next;
    std::string version;
    const EventTime oldest = intake_->now() - options_.age_max;
    for (int page = 0; page < kPagesMax; ++page) {
        VIGIE_TRY_ASSIGN(const auto token, authorization());
        http::ClientRequest request;
        request.url =
            url(fmt::format("limit={}{}{}", kPageItems,
                            next.empty() ? "" : "&continue=", http::percent_encode(next)));
        if (!token.empty()) request.headers.emplace_back("Authorization", "Bearer " + token);
        http::ClientOptions client;
        client.total_timeout = options_.timeout;
        client.ca_file = options_.ca_file;
        client.certificate_sha256 = options_.certificate_sha256;
        const auto answer = http::send(request, client, stop);
        if (!answer) return fail(answer.error().error);
        VIGIE_TRY(status_of(*answer));
        VIGIE_TRY_ASSIGN(const auto events, parse_event_page(answer->body, oldest));
        for (const auto& event : events.events) VIGIE_TRY(take(event));
        version = events.resource_version;
        next = events.next;
        if (next.empty()) break;
    }
    version_ = version;
    return {};
}

Result<KubernetesWatch::Ended> KubernetesWatch::watch(const std::stop_token& stop) {
    VIGIE_TRY_ASSIGN(const auto token, authorization());
    http::ClientRequest request;
    request.url =
        url(fmt::format("watch=true&allowWatchBookmarks=true&resourceVersion={}&timeoutSeconds={}",
                        http::percent_encode(version_), options_.watch_for.count()));
    if (!token.empty()) request.headers.emplace_back("Authorization", "Bearer " + token);
    http::ClientOptions client;
    // The server ends it; one that says nothing for longer than that is gone.
    client.total_timeout = options_.watch_for + options_.timeout;
    client.ca_file = options_.ca_file;
    client.certificate_sha256 = options_.certificate_sha256;
    Watching watching;
    const auto answer = http::send_and_stream(
        request, client, [&](std::string_view bytes) { return on_bytes(bytes, watching); }, stop);
    if (!watching.ended || *watching.ended != Ended::kUsual) return watching.ended;
    if (!answer) return fail(answer.error().error);
    if (answer->status == 410) return Ended::kGone;
    VIGIE_TRY(status_of(*answer));
    return Ended::kUsual;
}

bool KubernetesWatch::on_bytes(std::string_view bytes, Watching& watching) {
    watching.line += bytes;
    for (auto end = watching.line.find('\n'); end != std::string::npos;
         end = watching.line.find('\n')) {
        const std::string line = watching.line.substr(0, end);
        watching.line.erase(0, end + 1);
        if (line.empty()) continue;
        watching.ended = on_line(line);
        if (!watching.ended || *watching.ended != Ended::kUsual) return false;
    }
    if (watching.line.size() <= kLineBytesMax) return true;
    watching.ended = fail(ErrorKind::kInvalid, "a line of the watch is too long");
    return false;
}

Result<KubernetesWatch::Ended> KubernetesWatch::on_line(std::string_view text) {
    VIGIE_TRY_ASSIGN(const auto line, parse_watch_line(text));
    if (line.type == WatchLine::Type::kGone) return Ended::kGone;
    if (line.type == WatchLine::Type::kError) {
        return fail(ErrorKind::kUnavailable, "the watch ended: " + line.message);
    }
    // Taken before the place is moved on: a failure in between tells it again.
    if (line.type == WatchLine::Type::kObject) VIGIE_TRY(take(line.object));
    if (!line.resource_version.empty()) version_ = line.resource_version;
    return Ended::kUsual;
}

Status KubernetesWatch::take(const std::string& event) {
    auto messages = kubernetes_messages(*intake_, event);
    if (!messages || messages->empty()) {
        intake_->count(metrics::kIgnored, kSource);
        return {};
    }
    const std::size_t items = messages->size();
    return intake_->append_and_wait(kSource, *std::move(messages), items);
}

}  // namespace vigie::ingest
