#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/http/raw_client.h"

struct nghttp2_session;

namespace vigie::http::test {

// A client of HTTP/2 that does what a test says, also what no well-behaved one does. Every wait has
// a limit.
class H2Client {
public:
    using Fields = std::vector<std::pair<std::string, std::string>>;

    struct Answer {
        std::map<std::string, std::string> headers;  // Trailers too
        std::string body;
        bool over = false;
        std::uint32_t error = 0;  // Of RST_STREAM, or 0
    };

    explicit H2Client(std::uint16_t port);
    H2Client(const H2Client&) = delete;
    H2Client& operator=(const H2Client&) = delete;
    ~H2Client();

    // Sends a request, and says its stream. With `open` the body does not end.
    std::int32_t begin(std::string_view method, std::string_view path, std::string body = {},
                       const Fields& headers = {}, bool open = false, const Fields& trailers = {});
    void reset(std::int32_t stream);
    void ping();
    // Talks until the stream is over or the connection is; what was read.
    const Answer& wait(std::int32_t stream);
    // Until the server closes the connection. False when it does not.
    bool wait_closed();
    // The code of a GOAWAY, -1 without one.
    std::int64_t goodbye() const { return goodbye_; }
    const Answer& answer(std::int32_t stream) { return answers_[stream]; }

    // One request and its answer.
    const Answer& ask(std::string_view method, std::string_view path, std::string body = {},
                      const Fields& headers = {}) {
        return wait(begin(method, path, std::move(body), headers));
    }

private:
    friend struct ClientCallbacks;
    bool flush();
    bool step();  // Reads something; false when the connection is over or nothing comes.

    RawClient raw_;
    nghttp2_session* session_ = nullptr;
    std::map<std::int32_t, Answer> answers_;
    std::map<std::int32_t, std::pair<std::string, bool>>
        bodies_;                               // To be sent; whether it stays open
    std::map<std::int32_t, Fields> trailers_;  // Of requests
    std::int64_t goodbye_ = -1;
    bool closed_ = false;
};

}  // namespace vigie::http::test
