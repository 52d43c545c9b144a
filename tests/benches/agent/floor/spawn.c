// Starts processes and says what each one cost, one JSON line a run.
//
//   spawn rounds ROUNDS WARMUP LIST     every command once a round, in a new random order each time
//   spawn storm PARALLEL RUNS LIST      the first command, PARALLEL at a time until RUNS have run
//
// LIST holds a command a line: the file for stdin, then the arguments, separated by tabs.
// In C and static because a child's peak RSS and page faults start from what its parent had at the spawn; a fixed
// order would let a command profit, or suffer, from always the same predecessor.
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;
enum { COMMANDS = 64, ARGUMENTS = 64, PARALLEL = 1024 };
static char text[1 << 16], *words[COMMANDS][ARGUMENTS + 1];
static struct { pid_t pid; long long at; } running[PARALLEL];

static long long now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int load(const char *list) {
	int fd = open(list, O_RDONLY | O_CLOEXEC), count = 0;
	ssize_t size = read(fd, text, sizeof text - 1);
	if (size <= 0) { perror(list); exit(2); }
	char *rest_of_text = text;
	for (char *line; (line = strsep(&rest_of_text, "\n")) && count < COMMANDS;) {
		if (!*line) continue;
		int word = 0;
		for (char *part; (part = strsep(&line, "\t")) && word < ARGUMENTS;) words[count][word++] = part;
		count++;
	}
	return count;
}

static pid_t start(int command) {
	posix_spawn_file_actions_t files;
	pid_t pid;
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, words[command][0], O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
	int error = posix_spawn(&pid, words[command][1], &files, 0, words[command] + 1, environ);
	if (error) { fprintf(stderr, "%s: %s\n", words[command][1], strerror(error)); exit(1); }
	posix_spawn_file_actions_destroy(&files);
	return pid;
}

static void tell(int command, long long wall, int status, const struct rusage *use) {
	printf("{\"command\":%d,\"wall_ns\":%lld,\"cpu_us\":%lld,\"rss_kib\":%ld,\"faults\":%ld,\"status\":%d}\n", command, wall,
	       (use->ru_utime.tv_sec + use->ru_stime.tv_sec) * 1000000LL + use->ru_utime.tv_usec + use->ru_stime.tv_usec,
	       use->ru_maxrss, use->ru_minflt + use->ru_majflt, status);
}

static void rounds(int count, int total, int warmup) {
	int order[COMMANDS], status;
	unsigned long long seed = 0x9e3779b97f4a7c15u;
	struct rusage use;
	for (int i = 0; i < count; i++) order[i] = i;
	for (int round = -warmup; round < total; round++) {
		for (int i = count - 1; i > 0; i--) {
			seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
			int j = (int)(seed % (unsigned)(i + 1)), kept = order[i];
			order[i] = order[j], order[j] = kept;
		}
		for (int i = 0; i < count; i++) {
			long long begun = now();
			wait4(start(order[i]), &status, 0, &use);
			long long ended = now();
			if (round >= 0) tell(order[i], ended - begun, status, &use);
		}
	}
}

static void storm(int parallel, int runs) {
	int status;
	struct rusage use;
	long long begun = now();
	for (int started = 0, ended = 0; ended < runs;) {
		for (int i = 0; i < parallel && started < runs; i++)
			if (!running[i].pid) running[i].at = now(), running[i].pid = start(0), started++;
		pid_t pid = wait4(-1, &status, 0, &use);
		long long at = now();
		for (int i = 0; i < parallel; i++)
			if (running[i].pid == pid) running[i].pid = 0, ended++, tell(0, at - running[i].at, status, &use);
	}
	printf("{\"total_ns\":%lld}\n", now() - begun);
}

int main(int argc, char **argv) {
	if (argc != 5) return 2;
	int first = atoi(argv[2]), second = atoi(argv[3]), count = load(argv[4]);
	if (!strcmp(argv[1], "rounds")) rounds(count, first, second);
	else if (!strcmp(argv[1], "storm") && first <= PARALLEL) storm(first, second);
	else return 2;
	return 0;
}
