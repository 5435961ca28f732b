#!/usr/bin/perl
# A gateway with an LWP::UserAgent for each of its 25 tenants, each of which keeps a connection. The tenants' jobs run every
# 110 s. LWP looks whether a kept connection can be read, which means that it has ended, before it uses it again.
use strict;
use warnings;
use LWP::UserAgent;

my @agents = map { LWP::UserAgent->new(keep_alive => 2, timeout => 10) } 1 .. 25;
while (1) {
    for my $agent (@agents) {
        for my $page (1 .. 2) {
            my $answer = $agent->get("http://127.0.0.1:8080/page/$page");
            print $answer->status_line, "\n";
        }
    }
    sleep 110;
}
