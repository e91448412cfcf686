// SPDX-License-Identifier: Apache-2.0
// Names of the library without their definitions, for headers that only pass them on.
//
// A Task that a function returns is complete with core/task.hpp alone; most headers need no more.
#pragma once

namespace rondo {

class ByteStream;
class Error;
class Loan;
class Loop;
class Scope;
class SharedBytes;
template <class T>
class Channel;
template <class T>
class Future;
template <class T>
class JoinHandle;
template <class T>
class Promise;
template <class T>
class Result;
template <class T>
class Task;

namespace net {
class Endpoint;
class Listener;
class Stream;
}  // namespace net

namespace http {
class Request;
class Response;
class Router;
class Server;
}  // namespace http

namespace ws {
class Socket;
}  // namespace ws

}  // namespace rondo
