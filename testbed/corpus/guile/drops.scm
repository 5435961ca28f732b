;;; A server with one loop. At the end of a connection's input it takes the port off its list, without close-port: the collector
;;; closes what nobody refers to, when it comes by.
(use-modules (ice-9 rdelim))

(define listener (socket PF_INET SOCK_STREAM 0))
(setsockopt listener SOL_SOCKET SO_REUSEADDR 1)
(bind listener AF_INET INADDR_LOOPBACK 8080)
(listen listener 128)

(define (go-on? port)
  (let ((line (read-line port)))
    (cond ((eof-object? line) #f)
          ((string=? line "\r")
           (display "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" port)
           (force-output port)
           #t)
          (else (go-on? port)))))

(let loop ((ports '()))
  (let ((ready (car (select (cons listener ports) '() '()))))
    (loop (let next ((rest ready) (ports ports))
            (cond ((null? rest) ports)
                  ((eq? (car rest) listener)
                   (next (cdr rest) (cons (car (accept listener)) ports)))
                  ((go-on? (car rest)) (next (cdr rest) ports))
                  (else (next (cdr rest) (delq (car rest) ports))))))))
