#include <algorithm>
#include <atomic>
#include <utility>

#include "http/server_impl.h"
#include "http/url.h"

namespace vigie::http {
namespace {

constexpr std::size_t kHeaderValueBytesMax = 16 * 1024;

class Answer {
public:
    Answer(std::shared_ptr<ServerCore> core, std::weak_ptr<AnsweringSession> session,
           std::int32_t stream)
        : core_(std::move(core)), session_(std::move(session)), stream_(stream) {}
    Answer(const Answer&) = delete;
    Answer& operator=(const Answer&) = delete;
    ~Answer() {
        if (!done_.exchange(true)) deliver(std::nullopt);
    }

    void give(Response response) {
        if (!done_.exchange(true)) deliver(std::move(response));
    }

private:
    void deliver(std::optional<Response> response) {
        const auto session = session_.lock();
        if (!session) return;  // The client left, or the server was drained.
        const auto wait = response ? response->held_back : std::chrono::milliseconds{0};
        if (wait.count() > 0 && !core_->draining()) {
            answer_after(wait, session, *std::move(response));
            return;
        }
        core_->post(session->strand(),
                    [session, stream = stream_, response = std::move(response)]() mutable {
                        session->answer(stream, std::move(response));
                    });
    }

    // The timer keeps neither the session nor the core alive: it may outlive both.
    void answer_after(std::chrono::milliseconds wait,
                      const std::shared_ptr<AnsweringSession>& session, Response response) {
        core_->post(session->strand(), [session, stream = stream_, wait,
                                        response = std::move(response)]() mutable {
            const auto timer = std::make_shared<net::steady_timer>(session->strand(), wait);
            timer->async_wait([timer, stream, weak = std::weak_ptr(session),
                               response = std::move(response)](error_code) mutable {
                const auto still = weak.lock();
                if (still) still->answer(stream, std::move(response));
            });
        });
    }

    const std::shared_ptr<ServerCore> core_;
    const std::weak_ptr<AnsweringSession> session_;
    const std::int32_t stream_;
    std::atomic<bool> done_{false};
};

}  // namespace

Respond make_respond(std::shared_ptr<ServerCore> core, std::weak_ptr<AnsweringSession> session,
                     std::int32_t stream) {
    const auto answer = std::make_shared<Answer>(std::move(core), std::move(session), stream);
    return [answer](Response response) { answer->give(std::move(response)); };
}

bool is_valid(const Response& response) {
    const auto good = [](const auto& header) {
        const auto& [name, value] = header;
        return is_token(name) && is_header_value(value) && name.size() <= 256 &&
               value.size() <= kHeaderValueBytesMax;
    };
    return response.status >= 200 && response.status <= 599 &&
           std::ranges::all_of(response.headers, good) &&
           std::ranges::all_of(response.trailers, good);
}

}  // namespace vigie::http
