// The least a client can do: connect, send 64 bytes, read 1024, print them. What a warm get is compared with.
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv) {
	static char request[64], answer[1024];
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	if (argc != 2 || strlen(argv[1]) >= sizeof to.sun_path) return 2;
	strcpy(to.sun_path, argv[1]);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0) return 1;
	if (write(fd, request, sizeof request) != (ssize_t)sizeof request) return 1;
	for (size_t have = 0; have < sizeof answer;) {
		ssize_t n = read(fd, answer + have, sizeof answer - have);
		if (n <= 0) return 1;
		have += (size_t)n;
	}
	return write(STDOUT_FILENO, answer, sizeof answer) == (ssize_t)sizeof answer ? 0 : 1;
}
