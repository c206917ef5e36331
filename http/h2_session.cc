#include "http/h2_session.h"

#include <fmt/format.h>
#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <map>
#include <utility>
#include <vector>

#include "http/grpc.h"
#include "http/url.h"

namespace vigie::http {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kReadBytes = 16 * 1024;
constexpr std::size_t kWriteBytes = 64 * 1024;
constexpr std::size_t kOutboundFramesMax = 1000;  // Waiting to be written: then nothing is read.
constexpr milliseconds kTick{100};
constexpr milliseconds kGoodbyeMax{2000};

std::string_view view(const std::uint8_t* text, std::size_t size) {
    return {reinterpret_cast<const char*>(text), size};
}

// One request and its answer.
struct H2Stream {
    Request request;
    std::size_t header_bytes = 0;
    bool head = false;                    // The method is HEAD.
    bool headed = false;                  // The headers are complete: what comes now are trailers.
    bool dispatched = false;              // The handler has it.
    bool answered = false;                // The answer is being sent.
    SteadyTime deadline;                  // To arrive completely; then to be read by the client.
    std::optional<SteadyTime> answer_by;  // What the client said it would wait for.
    SteadyTime received_at;
    Response response;
    std::size_t sent = 0;  // Of the response's body
};

class H2Session final : public AnsweringSession, public std::enable_shared_from_this<H2Session> {
public:
    H2Session(std::shared_ptr<ServerCore> core, Stream stream, std::string remote)
        : core_(std::move(core)),
          remote_(std::move(remote)),
          stream_(std::move(stream)),
          strand_(stream_.get_executor()),
          timer_(strand_) {}
    ~H2Session() override { nghttp2_session_del(session_); }

    void start(std::string_view received);
    void answer(std::int32_t id, std::optional<Response> response) override;

    Strand strand() override { return strand_; }
    void begin_drain() override;
    void abort() override { finish(); }

private:
    friend struct Callbacks;

    bool make_session();
    void receive(std::string_view bytes);
    void read();
    void flush();
    void tick();
    void check_streams(SteadyTime now);
    void finish();
    void close_after(std::string_view reason, std::uint32_t code);

    // From nghttp2; each returns what nghttp2 wants to hear.
    int on_begin(std::int32_t id);
    int on_header(std::int32_t id, std::string_view name, std::string_view value);
    int on_data(std::int32_t id, std::string_view bytes);
    int on_frame(const nghttp2_frame& frame);
    int on_close(std::int32_t id);
    ssize_t on_send(std::int32_t id, std::uint8_t* into, std::size_t size, std::uint32_t* flags);

    bool is_flood(const nghttp2_frame& frame);
    void dispatch(std::int32_t id, H2Stream& stream);
    std::optional<Response> refusal_of(H2Stream& stream) const;
    void refuse(std::int32_t id, std::string_view reason, int status, std::string text);
    void send(std::int32_t id, H2Stream& stream, Response response);

    // Constant after construction.
    const std::shared_ptr<ServerCore> core_;
    const std::string remote_;
    const Http2Bounds& bounds_ = core_->options.http2_bounds;

    // Used on the strand only.
    Stream stream_;
    const Strand strand_;
    Timer timer_;
    nghttp2_session* session_ = nullptr;
    std::map<std::int32_t, H2Stream> streams_;
    std::size_t body_bytes_ = 0;  // Of requests that are not complete
    std::array<char, kReadBytes> in_{};
    std::string out_;
    bool reading_ = false;
    bool writing_ = false;
    bool closing_ = false;  // GOAWAY is on its way: nothing more is read.
    bool closed_ = false;
    SteadyTime idle_since_;
    SteadyTime write_by_;
    SteadyTime close_by_;
    SteadyTime span_began_;
    std::size_t resets_ = 0;
    std::size_t control_frames_ = 0;
};

// nghttp2 is C: these find the session again.
struct Callbacks {
    static H2Session& of(void* user) { return *static_cast<H2Session*>(user); }

    static int begin(nghttp2_session*, const nghttp2_frame* frame, void* user) {
        return of(user).on_begin(frame->hd.stream_id);
    }
    static int header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                      std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                      std::uint8_t, void* user) {
        return of(user).on_header(frame->hd.stream_id, view(name, name_size),
                                  view(value, value_size));
    }
    static int data(nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* bytes,
                    std::size_t size, void* user) {
        return of(user).on_data(id, view(bytes, size));
    }
    static int frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
        return of(user).on_frame(*frame);
    }
    static int close(nghttp2_session*, std::int32_t id, std::uint32_t, void* user) {
        return of(user).on_close(id);
    }
    static ssize_t send(nghttp2_session*, std::int32_t id, std::uint8_t* into, std::size_t size,
                        std::uint32_t* flags, nghttp2_data_source*, void* user) {
        return of(user).on_send(id, into, size, flags);
    }
};

nghttp2_nv field(const std::string& name, const std::string& value) {
    // nghttp2's interface predates const; it copies and does not write.
    const auto bytes = [](const std::string& text) {
        return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
    };
    return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

// Names in lower case, and none that only HTTP/1.1 has.
std::vector<std::pair<std::string, std::string>> h2_fields(
    const std::vector<std::pair<std::string, std::string>>& headers) {
    std::vector<std::pair<std::string, std::string>> out;
    for (const auto& [name, value] : headers) {
        std::string lower = name;
        for (auto& c : lower) c = to_lower(c);
        if (lower == "connection" || lower == "transfer-encoding" || lower == "content-length" ||
            lower == "keep-alive" || lower == "upgrade") {
            continue;
        }
        out.emplace_back(std::move(lower), value);
    }
    return out;
}

bool H2Session::make_session() {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_option* option = nullptr;
    if (nghttp2_session_callbacks_new(&callbacks) != 0) return false;
    if (nghttp2_option_new(&option) != 0) {
        nghttp2_session_callbacks_del(callbacks);
        return false;
    }
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, Callbacks::begin);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, Callbacks::header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Callbacks::data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, Callbacks::frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Callbacks::close);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_outbound_ack(option, bounds_.control_frames_max);
    const int made = nghttp2_session_server_new2(&session_, callbacks, this, option);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    if (made != 0) return false;
    const std::array<nghttp2_settings_entry, 4> settings{{
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, bounds_.streams_max},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, bounds_.window_bytes},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE,
         static_cast<std::uint32_t>(core_->options.header_bytes_max)},
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 0},
    }};
    return nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size()) ==
               0 &&
           nghttp2_session_set_local_window_size(
               session_, NGHTTP2_FLAG_NONE, 0,
               static_cast<std::int32_t>(2 * bounds_.window_bytes)) == 0;
}

void H2Session::start(std::string_view received) {
    idle_since_ = span_began_ = core_->clock.steady();
    if (!make_session()) return finish();
    tick();
    receive(received);
}

void H2Session::receive(std::string_view bytes) {
    const auto used = nghttp2_session_mem_recv(
        session_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    if (closed_) return;
    if (used < 0) close_after("malformed", NGHTTP2_PROTOCOL_ERROR);
    flush();
    if (!closed_) read();
}

void H2Session::read() {
    if (reading_ || closed_ || closing_ ||
        nghttp2_session_get_outbound_queue_size(session_) > kOutboundFramesMax) {
        return;
    }
    reading_ = true;
    stream_.async_read_some(net::buffer(in_),
                            [self = shared_from_this()](error_code error, std::size_t bytes) {
                                self->reading_ = false;
                                if (self->closed_) return;
                                if (error) return self->finish();
                                self->receive({self->in_.data(), bytes});
                            });
}

void H2Session::flush() {
    if (writing_ || closed_) return;
    out_.clear();
    while (out_.size() < kWriteBytes) {
        const std::uint8_t* bytes = nullptr;
        const auto size = nghttp2_session_mem_send(session_, &bytes);
        if (size < 0) return finish();
        if (size == 0) break;
        out_.append(view(bytes, static_cast<std::size_t>(size)));
    }
    if (out_.empty()) {
        const bool over =
            nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0;
        if (over || (closing_ && streams_.empty())) finish();
        return;
    }
    writing_ = true;
    write_by_ = core_->clock.steady() + core_->options.idle_timeout;
    net::async_write(stream_, net::buffer(out_),
                     [self = shared_from_this()](error_code error, std::size_t) {
                         self->writing_ = false;
                         if (self->closed_) return;
                         if (error) return self->finish();
                         self->flush();
                         if (!self->closed_) self->read();
                     });
}

void H2Session::tick() {
    timer_.expires_after(kTick);
    timer_.async_wait([weak = weak_from_this()](error_code error) {
        const auto self = weak.lock();
        if (error || !self || self->closed_) return;
        const SteadyTime now = self->core_->clock.steady();
        if (now - self->span_began_ > self->bounds_.flood_span) {
            self->span_began_ = now;
            self->resets_ = self->control_frames_ = 0;
        }
        self->check_streams(now);
        self->flush();
        if (!self->closed_) self->tick();
    });
}

void H2Session::check_streams(SteadyTime now) {
    const bool stuck = writing_ && now > write_by_;
    const bool idle = streams_.empty() && now - idle_since_ > core_->options.idle_timeout;
    if (stuck || (closing_ && now > close_by_)) return finish();
    if (idle && !closing_) return close_after("", NGHTTP2_NO_ERROR);
    std::vector<std::int32_t> ids;
    ids.reserve(streams_.size());
    for (const auto& [id, stream] : streams_) ids.push_back(id);
    for (const std::int32_t id : ids) {
        const auto found = streams_.find(id);
        if (found == streams_.end()) continue;
        H2Stream& stream = found->second;
        if (stream.answered && now > stream.deadline) {
            nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
        } else if (!stream.dispatched && !stream.answered && now > stream.deadline) {
            refuse(id, "timeout", 408, "the request did not arrive in time\n");
        } else if (!stream.answered && stream.answer_by && now > *stream.answer_by) {
            core_->count_refused("deadline");
            send(id, stream, grpc_refusal(GrpcCode::kDeadlineExceeded, "the deadline has passed"));
        }
    }
}

// With a GOAWAY that says why; `reason` is counted unless it is "".
void H2Session::close_after(std::string_view reason, std::uint32_t code) {
    if (!reason.empty()) core_->count_refused(reason);
    closing_ = true;
    close_by_ = core_->clock.steady() + kGoodbyeMax;
    nghttp2_session_terminate_session(session_, code);
}

void H2Session::finish() {
    if (closed_) return;
    closed_ = true;
    timer_.cancel();
    stream_.close();
    core_->remove(shared_from_this());
}

void H2Session::begin_drain() {
    if (closed_) return;
    // Streams up to this one are answered; when the last is, there is nothing more to want.
    nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_NO_ERROR,
                          nullptr, 0);
    flush();
}

int H2Session::on_begin(std::int32_t id) {
    if (streams_.contains(id)) return 0;  // Trailers
    if (streams_.size() >= bounds_.streams_max) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    H2Stream& stream = streams_[id];
    stream.deadline = core_->clock.steady() + core_->options.request_timeout;
    stream.request.remote = remote_;
    stream.request.http2 = true;
    return 0;
}

int H2Session::on_header(std::int32_t id, std::string_view name, std::string_view value) {
    const auto found = streams_.find(id);
    // Trailers are ignored, as in HTTP/1.1: they would pass for headers that were checked.
    if (found == streams_.end() || found->second.headed) return 0;
    H2Stream& stream = found->second;
    stream.header_bytes += name.size() + value.size() + 32;  // As RFC 9113 counts
    if (stream.header_bytes > core_->options.header_bytes_max) return 0;
    if (name == ":method") {
        stream.request.method = value;
    } else if (name == ":path") {
        stream.request.target = value;
    } else if (name == ":authority") {
        stream.request.headers.emplace_back("host", value);
    } else if (!name.starts_with(':')) {
        stream.request.headers.emplace_back(name, value);
    }
    return 0;
}

int H2Session::on_data(std::int32_t id, std::string_view bytes) {
    const auto found = streams_.find(id);
    if (found == streams_.end() || found->second.dispatched || found->second.answered) return 0;
    std::string& body = found->second.request.body;
    const std::size_t bytes_max = core_->options.body_bytes_max;
    if (body.size() + bytes.size() > bytes_max) {
        refuse(id, "body_too_large", 413, "the body is too large\n");
    } else if (body_bytes_ + bytes.size() > 2 * bytes_max) {
        refuse(id, "connection_bytes", 503, "too much is being sent at once\n");
    } else {
        body.append(bytes);
        body_bytes_ += bytes.size();
    }
    return 0;
}

bool H2Session::is_flood(const nghttp2_frame& frame) {
    switch (frame.hd.type) {
        case NGHTTP2_RST_STREAM: return ++resets_ > bounds_.resets_max;
        case NGHTTP2_PING:
        case NGHTTP2_SETTINGS:
        case NGHTTP2_PRIORITY:
        case NGHTTP2_WINDOW_UPDATE: return ++control_frames_ > bounds_.control_frames_max;
        case NGHTTP2_DATA:
            return frame.hd.length == 0 && (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) == 0 &&
                   ++control_frames_ > bounds_.control_frames_max;
        default: return false;
    }
}

int H2Session::on_frame(const nghttp2_frame& frame) {
    if (is_flood(frame)) {
        close_after("h2_flood", NGHTTP2_ENHANCE_YOUR_CALM);
        return 0;
    }
    const bool of_request = frame.hd.type == NGHTTP2_HEADERS || frame.hd.type == NGHTTP2_DATA;
    const auto found = streams_.find(frame.hd.stream_id);
    if (!of_request || found == streams_.end()) return 0;
    H2Stream& stream = found->second;
    stream.headed = true;
    if (stream.dispatched || stream.answered) return 0;
    if (auto refusal = refusal_of(stream)) {
        core_->count_refused(refusal->status == 431   ? "headers_too_large"
                             : refusal->status == 403 ? "host"
                                                      : "malformed");
        send(frame.hd.stream_id, stream, *std::move(refusal));
        return 0;
    }
    if ((frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) dispatch(frame.hd.stream_id, stream);
    return 0;
}

std::optional<Response> H2Session::refusal_of(H2Stream& stream) const {
    if (stream.header_bytes > core_->options.header_bytes_max) {
        return Response::text(431, "the headers are too large\n");
    }
    const auto& host_allowed = core_->options.host_allowed;
    if (host_allowed && !host_allowed(stream.request.header("host"))) {
        return Response::text(403, "this name is not answered: use the address, or localhost\n");
    }
    if (!stream.request.path.empty()) return std::nullopt;
    auto target = parse_target(stream.request.target);
    if (!target) return Response::text(400, "the request target is not a valid path\n");
    stream.request.path = std::move(target->path);
    stream.request.query = std::move(target->query);
    stream.request.target = std::move(target->raw);
    stream.head = stream.request.method == "HEAD";
    if (const auto wait = parse_grpc_timeout(stream.request.header("grpc-timeout"))) {
        stream.answer_by = core_->clock.steady() + *wait;
    }
    return std::nullopt;
}

void H2Session::dispatch(std::int32_t id, H2Stream& stream) {
    stream.dispatched = true;
    stream.received_at = core_->clock.steady();
    body_bytes_ -= stream.request.body.size();
    // The handler may answer at once, but not before this call is over: the answer is posted.
    core_->router.dispatch(std::move(stream.request), make_respond(core_, weak_from_this(), id));
}

void H2Session::answer(std::int32_t id, std::optional<Response> response) {
    const auto found = streams_.find(id);
    if (closed_ || found == streams_.end() || found->second.answered) return;
    if (!response) {
        core_->count_refused("answer_lost");
        response = Response::text(500, "the request was dropped without an answer\n");
    } else if (!is_valid(*response)) {
        core_->count_refused("answer_invalid");
        response = Response::text(500, "the answer was not valid\n");
    }
    send(id, found->second, *std::move(response));
    flush();
}

void H2Session::refuse(std::int32_t id, std::string_view reason, int status, std::string text) {
    H2Stream& stream = streams_[id];
    core_->count_refused(reason);
    body_bytes_ -= stream.request.body.size();
    stream.request.body = {};
    auto response = Response::text(status, std::move(text));
    if (status == 503) response.headers.emplace_back("retry-after", "1");
    send(id, stream, std::move(response));
}

void H2Session::send(std::int32_t id, H2Stream& stream, Response response) {
    stream.answered = true;
    if (!stream.dispatched) stream.received_at = core_->clock.steady();
    stream.deadline = core_->clock.steady() + core_->options.idle_timeout;
    stream.response = std::move(response);
    if (stream.head || stream.response.status == 204) stream.response.body.clear();
    std::vector<std::pair<std::string, std::string>> headers{
        {":status", std::to_string(stream.response.status)}};
    for (auto& header : h2_fields(stream.response.headers)) headers.push_back(std::move(header));
    std::vector<nghttp2_nv> fields;
    fields.reserve(headers.size());
    for (const auto& [name, value] : headers) fields.push_back(field(name, value));
    const bool nothing = stream.response.body.empty() && stream.response.trailers.empty();
    nghttp2_data_provider body{{.ptr = nullptr}, Callbacks::send};
    if (nghttp2_submit_response(session_, id, fields.data(), fields.size(),
                                nothing ? nullptr : &body) != 0) {
        nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_INTERNAL_ERROR);
    }
}

ssize_t H2Session::on_send(std::int32_t id, std::uint8_t* into, std::size_t size,
                           std::uint32_t* flags) {
    const auto found = streams_.find(id);
    if (found == streams_.end()) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    H2Stream& stream = found->second;
    const std::string& body = stream.response.body;
    const std::size_t part = std::min(size, body.size() - stream.sent);
    std::copy_n(body.data() + stream.sent, part, reinterpret_cast<char*>(into));
    stream.sent += part;
    if (stream.sent < body.size()) return static_cast<ssize_t>(part);
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    const auto trailers = h2_fields(stream.response.trailers);
    if (!trailers.empty()) {
        std::vector<nghttp2_nv> fields;
        fields.reserve(trailers.size());
        for (const auto& [name, value] : trailers) fields.push_back(field(name, value));
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (nghttp2_submit_trailer(session_, id, fields.data(), fields.size()) != 0) {
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        }
    }
    return static_cast<ssize_t>(part);
}

int H2Session::on_close(std::int32_t id) {
    const auto found = streams_.find(id);
    if (found == streams_.end()) return 0;
    H2Stream& stream = found->second;
    if (!stream.dispatched) body_bytes_ -= stream.request.body.size();
    if (stream.answered) {
        core_->count_request(stream.response.status);
        const std::chrono::duration<double> took = core_->clock.steady() - stream.received_at;
        core_->request_seconds().observe(took.count());
    }
    streams_.erase(found);
    idle_since_ = core_->clock.steady();
    return 0;
}

}  // namespace

void start_h2(const std::shared_ptr<ServerCore>& core, Stream stream, std::string received,
              std::string remote) {
    const auto session = std::make_shared<H2Session>(core, std::move(stream), std::move(remote));
    if (!core->add(session)) return;
    net::post(session->strand(),
              [session, received = std::move(received)] { session->start(received); });
}

}  // namespace vigie::http
