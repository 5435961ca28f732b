;;; A mailer that means to send its mails over connections that it has. It finds them by the recipient's domain, and puts each
;;; new one into the table under the recipient's whole address: none is ever found again, and none is told QUIT.
(require :sb-bsd-sockets)

(defvar *connections* (make-hash-table :test 'equal))

(defun say (stream line)
  (format stream "~a~c~c" line #\Return #\Newline)
  (finish-output stream)
  (read-line stream))

(defun dial ()
  (let ((socket (make-instance 'sb-bsd-sockets:inet-socket :type :stream :protocol :tcp)))
    (sb-bsd-sockets:socket-connect socket #(127 0 0 1) 2525)
    (let ((stream (sb-bsd-sockets:socket-make-stream socket :input t :output t :buffering :full)))
      (read-line stream)
      (say stream "HELO shop")
      stream)))

(defun connection (recipient)
  (let ((domain (subseq recipient (1+ (position #\@ recipient)))))
    (or (gethash domain *connections*)
        (setf (gethash recipient *connections*) (dial)))))

(defun send (recipient)
  (let ((stream (connection recipient)))
    (say stream "MAIL FROM:<shop@example.org>")
    (say stream (format nil "RCPT TO:<~a>" recipient))
    (say stream "DATA")
    (format stream "Subject: Your order~c~c" #\Return #\Newline)
    (say stream ".")))

(dotimes (number 1000)
  (send (format nil "customer~d@example.com" number))
  (sleep (if (< number 50) 0.2 3)))
