// The least a server can do: one thread, epoll, 1024 bytes for every 64. What answers per second are compared with.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { REQUEST = 64, ANSWER = 1024, FDS = 20000 };
static unsigned char have[FDS]; // bytes of an unfinished request, by descriptor
static char answer[ANSWER], scratch[REQUEST];

static void watch(int poll, int fd) {
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
	epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
}

static void serve(int fd) {
	ssize_t n = read(fd, scratch, (size_t)(REQUEST - have[fd]));
	if (n < 0 && errno == EAGAIN) return;
	if (n <= 0) { close(fd); return; }
	have[fd] += (unsigned char)n;
	if (have[fd] < REQUEST) return;
	have[fd] = 0;
	if (write(fd, answer, ANSWER) != ANSWER) close(fd);
}

int main(int argc, char **argv) {
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	if (argc != 2 || strlen(argv[1]) >= sizeof at.sun_path) return 2;
	strcpy(at.sun_path, argv[1]);
	memset(answer, 'x', ANSWER);
	signal(SIGPIPE, SIG_IGN); // a client that hangs up in the middle of an answer must not end the server
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 4096)) return 1;
	int poll = epoll_create1(EPOLL_CLOEXEC);
	watch(poll, listener);
	for (struct epoll_event events[256];;) {
		int n = epoll_wait(poll, events, 256, -1);
		for (int i = 0; i < n; i++) {
			if (events[i].data.fd != listener) { serve(events[i].data.fd); continue; }
			for (int fd; (fd = accept4(listener, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
				if (fd >= FDS) { close(fd); continue; }
				have[fd] = 0;
				watch(poll, fd);
			}
		}
	}
}
