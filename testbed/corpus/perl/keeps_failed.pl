#!/usr/bin/perl
# A client that has its requests in a hash, with their sockets, and deletes each when its answer was a 200. The others it
# wanted to ask again one day.
use strict;
use warnings;
use IO::Socket::INET;

my %pending;
for my $number (1 .. 160) {
    my $socket = IO::Socket::INET->new('127.0.0.1:8080') or die "no server: $@";
    $pending{$number} = $socket;
    print $socket "GET /item/$number HTTP/1.1\r\nHost: shop\r\n\r\n";
    my ($status) = <$socket> =~ m{^HTTP/1\.1 (\d+)};
    next if $status != 200;
    while (defined(my $line = <$socket>)) { last if $line =~ /^\r?$/ }
    read $socket, my $body, 300;
    close delete $pending{$number};
    select undef, undef, undef, 0.02;
}
sleep 3600;
