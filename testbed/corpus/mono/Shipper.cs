// Ships the lines of 40 log files to a collector, over a connection for each file. Lines come every 90 s. It never reads: the
// collector says nothing. So it learns of the collector's restart when it writes, and connects anew then.
using System;
using System.IO;
using System.Net.Sockets;
using System.Text;
using System.Threading;

static class Shipper
{
    static TcpClient Connect()
    {
        return new TcpClient("127.0.0.1", 5140);
    }

    static void Write(TcpClient client, int file)
    {
        var stream = client.GetStream();
        foreach (var part in new[] { "<14>web" + file + " ", "GET /item 200\n" }) {
            var bytes = Encoding.ASCII.GetBytes(part);
            stream.Write(bytes, 0, bytes.Length);
        }
    }

    static void Main()
    {
        var clients = new TcpClient[40];
        for (;; Thread.Sleep(90000)) {
            for (int file = 0; file < clients.Length; file++) {
                try {
                    if (clients[file] == null)
                        clients[file] = Connect();
                    Write(clients[file], file);
                } catch (IOException) {
                    clients[file].Close();
                    clients[file] = Connect();
                    Write(clients[file], file);
                }
                Thread.Sleep(25);
            }
            Console.WriteLine("shipped");
        }
    }
}
