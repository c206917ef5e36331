#include "http/websocket_session.h"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <deque>

#include "http/url.h"

namespace vigie::http {
namespace {

namespace beast = boost::beast;
namespace websocket = beast::websocket;

constexpr std::size_t kQueueMax = 256;              // Promised in server.h.
constexpr std::size_t kMessageBytesMax = 4 * 1024;  // From clients; what they say is ignored.
constexpr std::chrono::seconds kCloseWaitMax{5};

class WebSocketSession;

// What the application holds: it outlives the connection safely.
class Outbox final : public WebSocket {
public:
    explicit Outbox(std::shared_ptr<ServerCore> core) : core_(std::move(core)) {}

    void attach(const std::shared_ptr<WebSocketSession>& session) { session_ = session; }
    bool send(std::string text) override;

    // The next message to write, or nothing: then the writer stops until send() wakes it.
    std::optional<std::string> next() {
        const std::scoped_lock lock(mutex_);
        if (queue_.empty()) {
            writing_ = false;
            return std::nullopt;
        }
        auto text = std::move(queue_.front());
        queue_.pop_front();
        return text;
    }

    void close() {
        const std::scoped_lock lock(mutex_);
        closed_ = true;
        queue_.clear();
    }

private:
    const std::shared_ptr<ServerCore> core_;
    std::weak_ptr<WebSocketSession> session_;  // Constant after attach().
    std::mutex mutex_;                         // Protects everything below.
    std::deque<std::string> queue_;
    bool writing_ = false;
    bool closed_ = false;
};

// Everything but strand() runs on the strand.
class WebSocketSession final : public Session,
                               public std::enable_shared_from_this<WebSocketSession> {
public:
    WebSocketSession(std::shared_ptr<ServerCore> core, Stream stream, BeastRequest request)
        : core_(std::move(core)),
          request_(std::move(request)),
          stream_(std::move(stream)),
          outbox_(std::make_shared<Outbox>(core_)) {}

    void start() {
        outbox_->attach(shared_from_this());
        // A ping goes out after half of the silence.
        stream_.set_option(websocket::stream_base::timeout{
            kCloseWaitMax, core_->options.websocket_silence_max, true});
        stream_.read_message_max(kMessageBytesMax);
        stream_.auto_fragment(false);
        stream_.async_accept(request_, [self = shared_from_this()](error_code error) {
            if (error || self->finished_) return self->abort();
            self->core_->count_request(101);
            self->core_->options.on_websocket(self->outbox_);
            self->read();
            if (self->core_->draining()) self->begin_drain();
        });
    }

    Strand strand() override { return stream_.get_executor(); }

    void begin_drain() override {
        if (finished_ || closing_) return;
        if (!stream_.is_open()) return abort();
        closing_ = true;
        outbox_->close();
        stream_.async_close(websocket::close_code::going_away,
                            [self = shared_from_this()](error_code) { self->abort(); });
    }

    void abort() override {
        if (finished_) return;
        finished_ = true;
        outbox_->close();
        stream_.next_layer().close();
        core_->remove(shared_from_this());
    }

    void abort_slow() {
        if (finished_) return;
        core_->count_refused("websocket_slow");
        abort();
    }

    void write_next() {
        if (finished_) return;
        auto text = outbox_->next();
        if (!text) return;
        writing_ = *std::move(text);
        stream_.text(true);
        stream_.async_write(net::buffer(writing_),
                            [self = shared_from_this()](error_code error, std::size_t) {
                                if (error) return self->abort();
                                self->write_next();
                            });
    }

private:
    // Reading is what answers pings and notices that the client has gone.
    void read() {
        stream_.async_read(incoming_, [self = shared_from_this()](error_code error, std::size_t) {
            if (error) return self->abort();
            self->incoming_.clear();
            self->read();
        });
    }

    const std::shared_ptr<ServerCore> core_;
    const BeastRequest request_;
    websocket::stream<Stream, false> stream_;
    const std::shared_ptr<Outbox> outbox_;
    beast::flat_buffer incoming_;
    std::string writing_;
    bool closing_ = false;
    bool finished_ = false;
};

bool Outbox::send(std::string text) {
    bool full = false;
    {
        const std::scoped_lock lock(mutex_);
        if (closed_) return false;
        full = queue_.size() == kQueueMax;
        if (full) {
            closed_ = true;
            queue_.clear();
        } else {
            queue_.push_back(std::move(text));
            if (writing_) return true;
            writing_ = true;
        }
    }
    const auto session = session_.lock();
    if (!session) return false;
    core_->post(session->strand(), [session, full] {
        if (full) {
            session->abort_slow();
        } else {
            session->write_next();
        }
    });
    return !full;
}

}  // namespace

bool is_websocket_upgrade(const BeastRequest& request) {
    return websocket::is_upgrade(request);
}

bool same_origin(std::string_view origin, std::string_view host) {
    if (origin.empty()) return true;
    const auto scheme_end = origin.find("://");
    if (scheme_end == std::string_view::npos) return false;
    return equal_ignoring_case(origin.substr(scheme_end + 3), host);
}

void start_websocket(const std::shared_ptr<ServerCore>& core, Stream stream, BeastRequest request) {
    const auto session =
        std::make_shared<WebSocketSession>(core, std::move(stream), std::move(request));
    if (core->add(session)) session->start();
}

}  // namespace vigie::http
