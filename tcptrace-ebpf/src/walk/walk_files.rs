//! An iterator that the kernel runs for every descriptor: slower, for kernels without `bpf_loop`.

use aya_ebpf::cty::c_void;

use crate::{
    descriptor::consider, iterator::IteratorContext, memory::peek, output::state, place::Place,
    settings::setting,
};

/// `int bpf_iter_task_file(struct bpf_iter_meta *meta, struct task_struct *task, u32 fd, struct file *file)`
/// (`kernel/bpf/task_iter.c`).
#[unsafe(link_section = "iter/task_file")]
#[unsafe(no_mangle)]
pub extern "C" fn walk_files(ctx: *mut c_void) -> i32 {
    let context = IteratorContext::new(ctx);
    let (task, file) = (context.task(), context.word(3) as *const u8);
    if task.is_null() || file.is_null() {
        return 0;
    }
    let files: u64 = peek(task, setting!(task.task_files));
    if let Some(state) = state()
        && files != 0
        && let Some(place) = Place::of(task, files, state)
    {
        consider(file, context.word(2) as u32, &place);
    }
    0
}
