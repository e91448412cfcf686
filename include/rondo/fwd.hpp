// SPDX-License-Identifier: Apache-2.0
// Names of the library without their definitions, for headers that only pass them on.
//
// A Task that a function returns is complete with core/task.hpp alone; most headers need no more.
#pragma once

#include "rondo/base/compiler.hpp"

namespace rondo {

class ByteStream;
class Error;
class Loan;
class Loop;
class LoopRef;
class Runtime;
class Scope;
class SharedBytes;
template <class T>
class AsyncGenerator;
template <class T>
class Broadcast;
template <class T>
class Channel;
template <class T>
class Future;
template <class T>
class JoinHandle;
template <class T>
class OneshotReceiver;
template <class T>
class OneshotSender;
template <class T>
class Promise;
template <class T>
class Result;
template <class T>
class Task;
template <class T>
class TaskLocal;
template <class T>
class ThreadChannel;
template <class T>
class Watch;

namespace net {
class DatagramSocket;
class Endpoint;
class Listener;
class Stream;
}  // namespace net

namespace udp {
class Socket;
}  // namespace udp

namespace http {
class Request;
class Response;
class Router;
class Server;
}  // namespace http

namespace process {
class PipeStream;
class Process;
class SignalSet;
class Terminal;
}  // namespace process

namespace ws {
class Socket;
}  // namespace ws

}  // namespace rondo
