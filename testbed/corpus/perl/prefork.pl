#!/usr/bin/perl
# A server with four processes that accept from one listener. Each asks another server for every request, without a time-out
# of its own: it is as slow as that one. The next clients wait in the queue.
use strict;
use warnings;
use IO::Socket::INET;

my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 8080, Listen => 128, ReuseAddr => 1)
    or die "no listener: $@";

sub stock {
    my $upstream = IO::Socket::INET->new('127.0.0.1:9090') or return 'nothing';
    print $upstream "GET /stock HTTP/1.1\r\nHost: stock\r\n\r\n";
    return join '', <$upstream>;
}

$SIG{PIPE} = 'IGNORE';
for (1 .. 4) {
    next if fork;
    while (my $client = $listener->accept) {
        while (defined(my $line = <$client>)) { last if $line =~ /^\r?$/ }
        print $client stock();
        close $client;
    }
    exit;
}
wait for 1 .. 4;
